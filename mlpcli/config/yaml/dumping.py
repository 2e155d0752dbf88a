"""A config to plain values and to YAML with every default, which reads back as an equal config."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import yaml
from yaml.emitter import Emitter
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import Resolver
from yaml.serializer import Serializer

from mlpcli.config.yaml.environment import escaped_references
from mlpcli.config.yaml.parsing import ConfigResolver

_TAG = "tag:yaml.org,2002:"
_FLOW_FROM = 2  # depth from which mappings are in flow style: {name: sgd, learning_rate: 0.05}
_WIDTH = 110
_RESOLVERS = (Resolver(), ConfigResolver())


def as_plain(config: Any) -> Any:
    """Options dataclasses as dicts and tuples as lists, for JSON and YAML."""
    if is_dataclass(config) and not isinstance(config, type):
        return {option.name: as_plain(getattr(config, option.name)) for option in fields(config)}
    if isinstance(config, Mapping):
        return {key: as_plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [as_plain(value) for value in config]
    return config


def dump_yaml(config: Any) -> str:
    """The resolved config as YAML: sections in block style, lists and inner mappings in flow style."""
    return yaml_text(as_plain(config))


def yaml_text(plain: Any) -> str:
    """Plain values as YAML, which `parsing.parse_yaml` reads back as equal values."""
    return str(yaml.serialize(_node(plain, 0), Dumper=_Dumper, width=_WIDTH, allow_unicode=True))


def flow_text(plain: Any) -> str:
    """A plain value in flow style: `[auto, 64, auto]`, `{name: sgd, momentum: 0.9}`."""
    text = yaml.serialize(_node([plain], _FLOW_FROM), Dumper=_Dumper, width=float("inf"), allow_unicode=True)
    return str(text).rstrip("\n")[1:-1]  # in a list, since a document of one plain scalar ends with "..."


class _Dumper(Emitter, Serializer, ConfigResolver):
    """PyYAML's stages from nodes to text, with our types of plain scalars."""

    def __init__(self, stream: Any, **settings: Any) -> None:
        layout = {name: settings[name] for name in ("canonical", "indent", "width", "allow_unicode", "line_break")}
        marks = ("encoding", "explicit_start", "explicit_end", "version", "tags")
        Emitter.__init__(self, stream, **layout)
        Serializer.__init__(self, **{name: settings[name] for name in marks})
        ConfigResolver.__init__(self)


def _node(value: Any, depth: int) -> Node:
    if isinstance(value, dict):
        items = [(_text_node(key), _node(item, depth + 1)) for key, item in value.items()]
        return MappingNode(_TAG + "map", items, flow_style=depth >= _FLOW_FROM or not items)
    if isinstance(value, list):
        return SequenceNode(_TAG + "seq", [_node(item, max(depth + 1, _FLOW_FROM)) for item in value], flow_style=True)
    if isinstance(value, str):
        return _text_node(value)
    if value is None:
        return ScalarNode(_TAG + "null", "null")
    if isinstance(value, bool):
        return ScalarNode(_TAG + "bool", str(value).lower())
    kind = "int" if isinstance(value, int) else "float"
    return ScalarNode(_TAG + kind, _number_text(value))


def _number_text(value: float) -> str:
    if isinstance(value, int) or math.isfinite(value):
        text = repr(value)
        # YAML 1.1 requires a point in a number with an exponent; other programs read this file.
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"


def _text_node(text: str) -> ScalarNode:
    # Quote also what is not a string in YAML 1.1 only (no, 1:30, 2024-01-01): other programs read this file.
    # Quote doubly what is not printable: PyYAML does not escape U+0085 in single quotes, and reads it as a line end.
    text = escaped_references(text)
    tags = {resolver.resolve(ScalarNode, text, (True, False)) for resolver in _RESOLVERS}  # type: ignore[no-untyped-call]
    return ScalarNode(_TAG + "str", text, style=None if tags == {_TAG + "str"} and text.isprintable() else '"')
