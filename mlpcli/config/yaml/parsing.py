"""YAML text to a `SourceMap`: the JSON-like subset of YAML 1.2, with the line of every key.

PyYAML follows YAML 1.1, where `1e-3` is a string, `no` is false, 010 is eight and the last of duplicate keys wins
silently. Here only true, false, null and decimal numbers are not strings, keys are strings as written (a class 01 stays
01), and duplicate keys, custom tags, merge keys and a second document are errors. The number of aliased values is
limited. `${NAME}` is expanded from the environment, in keys too; without quotes the result is parsed as YAML.
"""

import os
import re
from typing import Any

from yaml.composer import Composer
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from mlpcli.config.yaml.environment import References
from mlpcli.config.yaml.source_map import (
    MAX_DEPTH,
    MAX_VALUES,
    Origin,
    Path,
    SourceMap,
    escaped,
    path_text,
    refuse_unwritable,
    shown,
)
from mlpcli.errors import ConfigError

MAX_DIGITS = 300  # about the range of a float; Python refuses to parse integers of thousands of digits
_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (_TAG + kind for kind in ("null", "bool", "int", "float", "str"))

_PATTERNS = {
    _NULL: (r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    _BOOL: (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    _INT: (r"[-+]?[0-9]+", list("-+0123456789")),
    _FLOAT: (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}

# Parts of PyYAML's messages, which name tokens, and what to do.
_ADVICE = {
    "mapping values are not allowed here": "Check the indentation, and quote a text that holds ': '.",
    "found character '\\t'": "Indent with spaces, not tabs.",
    "sequence entries are not allowed here": 'A dash alone is written "-" in quotes.',
    "could not find expected ':'": "Write KEY: VALUE.",
    "expected <block end>": "Check the indentation of this line and of those above.",
    "undefined alias": "Quote a string that begins with *.",
    "while scanning an alias": "Quote a string that begins with *.",
    "while scanning an anchor": "Quote a string that begins with &.",
    "found character '%'": "Quote a string that begins with %.",
    "found character '@'": "Quote a string that begins with @.",
    "found character '`'": "Quote a string that begins with `.",
    "while scanning a block scalar": "Quote a string that begins with | or >.",
    "expected URI": "Quote a string that begins with !.",
    "while scanning a quoted scalar": "The quote is not closed.",
    "expected ',' or ']'": "The bracket [ is not closed.",
    "expected ',' or '}'": "The brace { is not closed.",
}


class ConfigResolver(BaseResolver):
    """The types of plain scalars."""


for _tag, (_pattern, _first) in _PATTERNS.items():
    ConfigResolver.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), _first)


class _Loader(Reader, Scanner, Parser, Composer, ConfigResolver):
    """PyYAML's stages up to nodes; no Python object is ever constructed from a tag."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        ConfigResolver.__init__(self)
        self.depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.depth > MAX_DEPTH:
            raise MarkedYAMLError(problem="nested too deeply", problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def parse_yaml(text: str, name: str) -> tuple[Any, SourceMap]:
    """The plain value of a YAML document (None if it is empty), and its source map, whose root is that mapping.

    Raises ConfigError with `name` and the line.
    """
    where = _Position(name)
    references = References(text, os.environ)
    node = _compose(references.protected, where, references)
    source_map = SourceMap(name)
    value = None if node is None else _Constructor(source_map, where, references).value(node, ())
    if isinstance(value, dict):
        source_map.root = value
    return value, source_map


def parse_flow(text: str, name: str) -> Any:
    """The plain value of one line in flow style or quotes, `[auto, 32]`; raises ConfigError that begins with `name`."""
    where = _SingleLinePosition(name)
    node = _compose(text, where)
    return None if node is None else _Constructor(SourceMap(name), where).value(node, ())


def parse_scalar(text: str) -> Any:
    """The value of a plain scalar, which may contain any characters: 1e-3 is a number, `a: b` a string.

    Raises ValueError for a number with too many digits.
    """
    resolver = ConfigResolver()
    tag = resolver.resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return _scalar_value(tag, text)


class _Position:
    """Formats the position in a file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def at(self, line: int) -> str:
        """The prefix of a message about `line`, counted from 0."""
        return f"{self.name}:{line + 1}"


class _SingleLinePosition(_Position):
    """Formats the position in a text of one line."""

    def at(self, line: int) -> str:
        return self.name


def _compose(text: str, where: _Position, references: References | None = None) -> Node | None:
    try:
        return _Loader(text).get_single_node()
    except ReaderError as error:
        line = where.at(text.count("\n", 0, error.position))
        raise ConfigError(f"{line}: the character {chr(error.character)!a} is not allowed in YAML.") from error
    except MarkedYAMLError as error:
        message = _syntax_message(error, where)
        raise ConfigError(references.as_written(message) if references else message) from error
    except (ValueError, OverflowError) as error:  # PyYAML converts \U escapes and %YAML versions without a check
        raise ConfigError(f"{where.name}: not valid YAML: a \\U escape or a %YAML version is out of range.") from error


def _syntax_message(error: MarkedYAMLError, position: _Position) -> str:
    mark = error.problem_mark or error.context_mark
    where = position.at(mark.line) if mark else position.name
    problem = (error.problem or "cannot be read").removeprefix("but ")
    if problem.startswith("found another document"):
        return f"{where}: a second document begins here (---). A config is one document."
    if problem.startswith("nested too deeply"):
        return f"{where}: nested too deeply (more than {MAX_DEPTH} levels)."
    problem = problem.replace("'<stream end>'", "the end").replace("'\\x00'", "the end").replace("end of stream", "end")
    full = f"{error.context or ''} {problem}"
    advice = next((f" {advice}" for excerpt, advice in _ADVICE.items() if excerpt in full), "")
    begin = error.context_mark
    since = f" (begun in line {begin.line + 1})" if begin and mark and begin.line != mark.line else ""
    return f"{where}: not valid YAML: {escaped(problem)}{since}.{advice}"


class _Constructor:
    """Converts nodes to plain values and records their origins."""

    def __init__(self, source_map: SourceMap, where: _Position, references: References | None = None) -> None:
        self.source_map = source_map
        self.where = where
        self.references = references
        self.n_values = 0

    def text(self, node: ScalarNode, path: Path) -> str:
        """The text of a scalar with variables expanded."""
        if self.references is None:
            return str(node.value)
        try:
            return self.references.expanded(node.value)
        except ValueError as error:
            raise self.error(node.start_mark, path, f"{error}") from error

    def value(self, node: Node, path: Path) -> Any:
        self.n_values += 1
        if self.n_values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise self.error(node.start_mark, path, "holds too many values (an alias that repeats itself?).")
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
            return [self.item(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, path)
        raise self.error(node.start_mark, path, f"the tag {escaped(str(node.tag))} is not supported.")

    def item(self, node: Node, path: Path) -> Any:
        self.note(path, node.start_mark, node)
        return self.value(node, path)

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, ScalarNode):
                raise self.error(mark, path, "a key must be a string, not a list or a mapping.")
            key = self.text(key_node, path)
            if key == "<<" and key_node.style is None:
                raise self.error(mark, path, "merge keys (<<) are not supported: write the keys out.")
            inner = (*path, key)
            refuse_unwritable(key, self.where.at(mark.line))
            if key in result:
                raise self.error(mark, inner, f"duplicate key, first in line {lines[key]}. Keep one.")
            lines[key] = mark.line + 1
            self.note(inner, mark, value_node)
            result[key] = self.value(value_node, inner)
        return result

    def scalar(self, node: ScalarNode, path: Path) -> Any:
        text = self.text(node, path)
        try:
            is_plain = text != node.value and node.style is None
            value = parse_scalar(text) if is_plain else _scalar_value(node.tag, text)
        except ValueError as error:
            raise self.error(node.start_mark, path, f"{error}") from error
        if isinstance(value, str):
            refuse_unwritable(value, self.line(node.start_mark, path))
        return value

    def note(self, path: Path, mark: Mark, node: Node) -> None:
        where = origin = self.where.at(mark.line)
        source = None
        if isinstance(node, ScalarNode):
            source = self.text(node, path) if node.style is None else None
            names = self.references.names(node.value) if self.references else []
            origin = " ".join([where, *(f"${{{name}}}" for name in names)])
        self.source_map.origins[path] = Origin(where, origin, source)

    def line(self, mark: Mark, path: Path) -> str:
        key = f": {escaped(path_text(path))}" if path else ""
        return f"{self.where.at(mark.line)}{key}"

    def error(self, mark: Mark, path: Path, text: str) -> ConfigError:
        return ConfigError(f"{self.line(mark, path)}: {text}")


def _scalar_value(tag: str | None, text: str) -> Any:
    if tag == _STR:
        return text
    if tag not in _PATTERNS:
        raise ValueError(f"the tag {escaped(str(tag))} is not supported.")
    if not re.fullmatch(_PATTERNS[tag][0], text):
        raise ValueError(f"{shown(text)} is not a value of the tag {tag}.")
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text.lower() == "true"
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is more than a float holds.")
    if tag == _INT:
        return int(text)
    return float(
        text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower().replace(".nan", "nan")
    )
