"""Expansion of `${NAME}` in a config to the value of an environment variable; `$${` is a literal `${`."""

import re
from collections.abc import Iterator, Mapping

from mlpcli.config.yaml.source_map import escaped, shortened

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
# Around a name, or another text without characters that YAML would split.
_REFERENCE = re.compile(r"(?<!\$)\$\{([^\s{}\[\],'\"#&*!|>%@`]*)\}")
_WITH_DEFAULT = re.compile(rf"({_NAME}):?[-+=?].*", re.DOTALL)
_PRIVATE = range(0xE000, 0xF8FF)  # Unicode's private use area


class References:
    """The references in the text of a config.

    YAML would read the braces of `[a, ${B}]` as a mapping. In `protected`, the text to parse, they are replaced with
    two characters that the text does not contain.
    """

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._environment = environment
        unused = _unused(text)
        start, end = next(unused), next(unused)
        self.protected = _REFERENCE.sub(rf"{start}\1{end}", text)
        self._braces = {start: "${", end: "}"}
        self._pieces = re.compile(rf"\$\$\{{|\$\{{([^{{}}]*)\}}|{start}([^{end}]*){end}|\$\{{")

    def names(self, scalar: str) -> list[str]:
        """The variables in a scalar of the protected text."""
        return [match[1] or match[2] for match in self._pieces.finditer(scalar) if match[1] or match[2]]

    def as_written(self, message: str) -> str:
        """A message of the YAML parser about the protected text, with the braces restored."""
        for character, brace in self._braces.items():
            message = message.replace(character, brace).replace(ascii(character)[1:-1], brace)
        return message

    def expanded(self, scalar: str) -> str:
        """The scalar with its variables expanded; raises ValueError with a message for the user."""
        return self._pieces.sub(self._value_of, scalar)

    def _value_of(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1] or match[2] or ""
        if default := _WITH_DEFAULT.fullmatch(name):
            written, variable = shortened(escaped(f"${{{name}}}")), shortened(default[1])
            raise ValueError(
                f"{written}: default values are not supported. Set {variable}, or change the key with --set."
            )
        if not re.fullmatch(_NAME, name):
            raise ValueError("${ must hold the name of an environment variable, as in ${DATA}. A literal ${ is $${.")
        if name not in self._environment:
            raise ValueError(f"the environment variable {name} is not set. Set it; the text itself is $${{{name}}}.")
        return self._environment[name]


def escaped_references(text: str) -> str:
    """The text with `${` escaped, so that a config contains it literally."""
    return text.replace("${", "$${")


def _unused(text: str) -> Iterator[str]:
    """Private characters that a text contains neither literally nor as escapes."""
    lower = text.lower()
    return (chr(code) for code in _PRIVATE if chr(code) not in text and f"{code:04x}" not in lower)
