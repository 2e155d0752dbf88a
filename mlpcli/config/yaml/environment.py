"""`${NAME}` in a config: the value of an environment variable; `$${` is a literal `${`."""

import re
from collections.abc import Iterator, Mapping

from mlpcli.config.yaml.source_map import escaped, shortened

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
# Of a name, or of what other programs would take for one: what holds no sign by which YAML would part it.
_REFERENCE = re.compile(r"(?<!\$)\$\{([^\s{}\[\],'\"#&*!|>%@`]*)\}")
_WITH_DEFAULT = re.compile(rf"({_NAME}):?[-+=?].*", re.DOTALL)
_PRIVATE = range(0xE000, 0xF8FF)  # code points that no text means anything by


class References:
    """The references in the text of one config.

    YAML takes the braces of `[a, ${B}]` for a mapping. While it reads, two characters stand for them that the text
    does not hold.
    """

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._environment = environment
        unused = _unused(text)
        start, end = next(unused), next(unused)
        self.protected = _REFERENCE.sub(rf"{start}\1{end}", text)
        self._braces = {start: "${", end: "}"}
        self._pieces = re.compile(rf"\$\$\{{|\$\{{([^{{}}]*)\}}|{start}([^{end}]*){end}|\$\{{")

    def names(self, scalar: str) -> list[str]:
        """The variables that a scalar of the protected text refers to."""
        return [found[1] or found[2] for found in self._pieces.finditer(scalar) if found[1] or found[2]]

    def as_written(self, message: str) -> str:
        """What YAML's reader says of the protected text, with the braces in it, be they shown or escaped."""
        for character, brace in self._braces.items():
            message = message.replace(character, brace).replace(ascii(character)[1:-1], brace)
        return message

    def expanded(self, scalar: str) -> str:
        """The scalar with the values of its variables; raises ValueError, which says what to do, for one not set."""
        return self._pieces.sub(self._value_of, scalar)

    def _value_of(self, found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name = found[1] or found[2] or ""
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
    """The text as it must stand in a config to be read as it is."""
    return text.replace("${", "$${")


def _unused(text: str) -> Iterator[str]:
    """Private characters that a text holds neither as they are nor as escapes."""
    lower = text.lower()
    return (chr(code) for code in _PRIVATE if chr(code) not in text and f"{code:04x}" not in lower)
