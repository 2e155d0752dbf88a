"""Validation errors of pydantic as lines a user can act on.

Pydantic's locations name the union member it tried as well as the key (`training.optimizer.sgd.momentum`). Walking the
schema along with each location tells the two apart, and gives what is allowed there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

from pydantic import ValidationError

from mlpcli.aliases import key_of, value_of
from mlpcli.config.schema.fields import FieldSpec, all_keys, allowed
from mlpcli.config.yaml.parsing import parse_scalar
from mlpcli.config.yaml.source_map import Path, SourceMap, escaped, path_text, shortened, shown
from mlpcli.errors import ConfigError

MAX_LINES = 3
# The types of values that an item of a list may have, by the kind of the item.
TAKEN_BY = {"string": (str,), "integer": (int,), "number": (int, float)}


@dataclass(frozen=True)
class _Fault:
    """One error of pydantic, `loc` being what is left of its location."""

    kind: str
    loc: tuple[str | int, ...]
    text: str

    def inside(self) -> "_Fault":
        return _Fault(self.kind, self.loc[1:], self.text)


@dataclass(frozen=True)
class Complaint:
    """What is wrong at a path, put into words only if it is among the first: a wrong file can have thousands."""

    path: Path
    say: Callable[[], str]


def config_error(error: ValidationError, spec: FieldSpec, source_map: SourceMap) -> ConfigError:
    """The faults of `source_map`, one line each in the order they stand in the file, the first few of them."""
    faults = [
        _Fault(one["type"], one["loc"], str(one.get("ctx", {}).get("error", one["msg"])))
        for one in error.errors(include_url=False, include_input=False)
    ]
    found = list(_Complaints(spec, source_map).at(spec, source_map.root, (), faults))
    ranks = {path: rank for rank, path in enumerate(source_map.origins)}
    found.sort(key=lambda complaint: ranks.get(complaint.path, len(ranks)))
    lines = [source_map.message(complaint.path, complaint.say()) for complaint in found[:MAX_LINES]]
    more = f" (and {len(found) - MAX_LINES} more)" if len(found) > MAX_LINES else ""
    return ConfigError("\n".join(lines) + more)


class _Complaints:
    """Follows faults through the schema."""

    def __init__(self, whole: FieldSpec, source_map: SourceMap) -> None:
        self.whole = whole
        self.source_map = source_map

    def at(self, spec: FieldSpec, value: Any, path: Path, faults: list[_Fault]) -> Iterator[Complaint]:
        """The complaints about `value`, to which the locations of all `faults` lead."""
        here = [fault for fault in faults if not fault.loc]
        deeper = [fault for fault in faults if fault.loc]
        said = [fault for fault in here if fault.kind in ("value_error", "assertion_error")]
        for fault in said:
            yield Complaint(path, partial(str, fault.text))
        if len(said) < len(here):
            yield self.wrong(spec, value, path)
        elif deeper:
            yield from self.below(spec, value, path, deeper)

    def below(self, spec: FieldSpec, value: Any, path: Path, faults: list[_Fault]) -> Iterator[Complaint]:
        """The same for faults that all have a location left."""
        (leaf, *others) = spec.members
        if others:
            yield from self.in_union(spec, value, path, faults)
        elif leaf.is_union:
            yield from self.below(leaf, value, path, faults)
        elif leaf.kind == "part":
            yield from self.in_part(leaf, value, path, faults)
        elif any(fault.kind == "missing" and len(fault.loc) == 1 for fault in faults):  # a list that is too short
            yield self.wrong(spec, value, path)
        else:
            for key, inner in _by_first(faults).items():
                yield from self.at(leaf.item(key), _get(value, key), (*path, key), inner)

    def in_union(self, spec: FieldSpec, value: Any, path: Path, faults: list[_Fault]) -> Iterator[Complaint]:
        """Pydantic tried every member; follow the one the user seems to mean, or else say what the members are."""
        for label, inner in _by_first(faults).items():
            member = _member(spec, str(label))
            if (
                member
                and any(fault.loc or fault.kind == "value_error" for fault in inner)
                and _resembles(member, value)
            ):
                yield from self.at(member, value, path, inner)
                return
        yield self.wrong(spec, value, path)

    def in_part(self, part: FieldSpec, value: Any, path: Path, faults: list[_Fault]) -> Iterator[Complaint]:
        for key, inner in _by_first(faults).items():
            inner_path = (*path, key)
            kinds = {fault.kind for fault in inner if not fault.loc}
            if str(key) not in part.keys:
                yield Complaint(inner_path, partial(self.unknown, part, str(key), path))
            elif "missing" in kinds:
                yield Complaint(inner_path, partial(_must_be_given, part.keys[str(key)]))
            else:
                yield from self.at(part.keys[str(key)], _get(value, key), inner_path, inner)

    def wrong(self, spec: FieldSpec, value: Any, path: Path) -> Complaint:
        """A value of the wrong kind or out of range."""
        if isinstance(value, dict) and spec.choices and "name" in value:
            value, path = value["name"], (*path, "name")
        return Complaint(path, partial(self.must_be, spec, value, path))

    def must_be(self, spec: FieldSpec, value: Any, path: Path) -> str:
        """What to say of a value that is not allowed."""
        origin = self.source_map.origins.get(path)
        source = origin.source if origin else None
        is_infinite = isinstance(value, float) and value - value != 0
        got = f"{shown(value, source)}{' (not finite)' if is_infinite else ''}"
        return f"must be {allowed(spec)}, got {got}.{_advice(spec, value, source)}"

    def unknown(self, part: FieldSpec, key: str, path: Path) -> str:
        """What to say of a key that `part` does not have."""
        keys = list(part.keys)
        here = path_text((*path, key))
        elsewhere = [path_text(known) for known in all_keys(self.whole) if nearest(key, known[-1:], cutoff=0.85)]
        elsewhere = [known for known in dict.fromkeys(elsewhere) if known != here]
        meant = nearest(key, keys, cutoff=0.8) or self.translated(key, path) or " or ".join(elsewhere[:2])
        meant = meant or nearest(key, keys)
        if meant:
            return f"unknown key. Did you mean {meant}?"
        has = f"{' | '.join(part.names)} has" if part.names else "Known here:"
        return f"unknown key. {has} {', '.join(keys)}."

    def translated(self, key: str, path: Path) -> str:
        """Our key for another program's word, seen from the section `path`, or ""."""
        ours = key_of(key)
        if not ours or ours == path_text((*path, key)):
            return ""
        section, _, name = ours.rpartition(".")
        return name if section == path_text(path) else ours


def nearest(text: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The spelling among `known` that `text` seems to mean (lr means learning_rate), or an empty text."""
    plain = text[:100].lower().replace("-", "_").replace(" ", "_")
    names = list(known)
    for name in names:
        if name == plain or ("_" in name and plain == "".join(word[:1] for word in name.split("_"))):
            return name
    return next(iter(get_close_matches(plain, names, 1, cutoff)), "")


def _by_first(faults: list[_Fault]) -> dict[str | int, list[_Fault]]:
    groups: dict[str | int, list[_Fault]] = defaultdict(list)
    for fault in faults:
        groups[fault.loc[0]].append(fault.inside())
    return groups


def _must_be_given(spec: FieldSpec) -> str:
    """What to say of a key that is missing; of a section also what it must hold at the least."""
    needed = [key for part in spec.parts for key in part.required]
    having = f", with {' and '.join(needed)}" if needed else ""
    return f"must be given{having}. {spec.doc}".rstrip()


def _get(value: Any, key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int):
        return value[key]
    return value  # a short form: one text for a list of one, a name for a part


def _member(spec: FieldSpec, label: str) -> FieldSpec | None:
    """The member of a union that pydantic's `label` stands for, if anything can be wrong inside it."""
    for member in spec.members:
        if member.kind == "part" and label in (*member.names, member.title):
            return member
        if member.is_tagged and label.startswith("tagged-union"):
            return member
        if label.startswith({"map": "dict", "list": "tuple"}.get(member.kind, "\0")):
            return member
    return None


def _resembles(member: FieldSpec, value: Any) -> bool:
    """Whether `value` is meant to be this member: a mapping for a part, a list for a list, a name for its part."""
    if isinstance(value, str):
        return value in member.choices
    return isinstance(value, list if member.kind == "list" else dict)


def _advice(spec: FieldSpec, value: Any, source: str | None) -> str:
    """What to write instead, where it can be guessed."""
    kinds = {leaf.kind for leaf in spec.leaves}
    if isinstance(value, str):
        return _advice_for_text(value, spec, kinds)
    if isinstance(value, dict):
        names = [part.names for part in spec.parts if value.keys() <= part.keys.keys()]
        return f" Give it a name: {{name: {names[0][0]}, ...}}." if names and names[0] else ""
    is_scalar = isinstance(value, int | float)
    text = shortened(escaped(source)) if source else shown(value)
    takes_text = "string" in kinds or any(leaf.takes_one_text for leaf in spec.leaves)
    if is_scalar and takes_text and not kinds & {"integer", "number"}:
        return f' Quote it: "{text}".'
    # A number that is allowed beside a list of numbers is out of range: the list would be, too.
    if is_scalar and not kinds & {"integer", "number"} and _takes_items(spec, [value]):
        return f" Write {_as_list(spec, text)}."
    return ""


def _takes_items(spec: FieldSpec, values: Sequence[Any]) -> bool:
    """Whether a list of such values may stand here, by their types."""
    lists = [leaf for leaf in spec.leaves if leaf.kind == "list"]
    kinds = {kind for leaf in lists for item in leaf.item(0).leaves for kind in TAKEN_BY.get(item.kind, ())}
    return all(type(value) in kinds for value in values)


def _as_list(spec: FieldSpec, text: str) -> str:
    """A value as the list it should be; sizes of hidden layers, as other programs ask for, between the outer ones."""
    is_layers = any(leaf.kind == "list" and "auto" in leaf.item(0).choices for leaf in spec.leaves)
    return f"[auto, {text}, auto]" if is_layers else f"[{text}]"


def _advice_for_text(value: str, spec: FieldSpec, kinds: set[str]) -> str:
    parts = [part.strip() for part in value.split(",")]
    if "list" in kinds and len(parts) > 1 and all(part in spec.choices for part in parts):
        return f" Write [{', '.join(parts)}]."
    if "boolean" in kinds and value.lower() in ("yes", "no", "on", "off", "y", "n"):
        return f" Write {'true' if value.lower() in ('yes', 'on', 'y') else 'false'}."
    if found := value_of(value, spec.choices) or nearest(value, spec.choices):
        return f" Did you mean {found}?"
    if "list" in kinds and value and (_takes_items(spec, parts) or _takes_items(spec, [*map(_scalar, parts)])):
        return f" Write {_as_list(spec, shortened(escaped(value)))}."
    if kinds & {"integer", "number"} and type(_scalar(value)) in (int, float):
        return " Write it without quotes."
    return ""


def _scalar(text: str) -> Any:
    try:
        return parse_scalar(text)
    except ValueError:
        return text
