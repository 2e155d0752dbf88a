"""`--set training.epochs=5`: changes to a config tree before it is validated."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from mlpcli.config.parsing import parse_flow, parse_scalar
from mlpcli.config.shapes import Shape, part_names, shape_at, shape_of
from mlpcli.config.tree import Path, Place, Tree, escaped, refuse_unwritable, shortened, shown, shown_path
from mlpcli.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Override:
    """One key set from outside the file; `text` is what the user typed, for messages: `--seed 7`."""

    key: str
    value: Any
    text: str

    @property
    def option(self) -> str:
        """The option it came by: `--set`, `--seed`."""
        return self.text.split(maxsplit=1)[0]


def parse_override(assignment: str) -> Override:
    """`a.b=c` as an Override; raises ConfigError.

    A value in brackets, braces or quotes is YAML (`[auto, 32]`). Any other text is taken as it stands, so that
    `data.delimiter=|` and `data.train=-` need no quotes twice over; true, null and numbers are as in the file.
    """
    key, equals, text = assignment.partition("=")
    shown_text = f"--set {shortened(escaped(assignment))}"
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError(f"{shown_text}: must be KEY=VALUE, for example --set training.epochs=5")
    if "[" in key:
        whole = key.partition("[")[0]
        raise ConfigError(
            f"{shown_text}: a list is set as a whole, for example --set '{shortened(escaped(whole))}=[...]'"
        )
    return Override(key, _read(text.strip() or text, shown_text), shown_text)


def apply_overrides(tree: Tree, overrides: Sequence[str | Override], schema: type) -> Tree:
    """A tree with the overrides in it, in their order; parents that are missing are made.

    Raises ConfigError where a parent is a list or a plain value. Whether the key exists is the schema's to say, later.
    """
    changed = Tree(tree.name, deepcopy(tree.root), dict(tree.places))
    for one in overrides:
        override = parse_override(one) if isinstance(one, str) else one
        _apply(changed, override, shape_of(schema))
    return changed


def _read(text: str, where: str) -> Any:
    if text.startswith(("[", "{", '"', "'")):
        return parse_flow(text, where)
    refuse_unwritable(text, where)
    try:
        return parse_scalar(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _apply(tree: Tree, override: Override, root: Shape) -> None:
    path: Path = tuple(override.key.split("."))
    place = Place(override.text, override.option, key=path)
    parent: dict[str, Any] = tree.root
    for depth in range(1, len(path)):
        inner = str(path[depth - 1])
        parent[inner] = _as_mapping(parent.get(inner), path[:depth], tree, override, root)
        tree.places.setdefault(path[:depth], place)
        parent = parent[inner]
    parent[str(path[-1])] = override.value
    tree.forget(path)
    _note(tree, path, override.value, place)


def _as_mapping(value: Any, path: Path, tree: Tree, override: Override, root: Shape) -> dict[str, Any]:
    """What stands at a parent of the key, as a mapping: `adam` becomes `{name: adam}`, nothing becomes `{}`."""
    if isinstance(value, dict):
        return value
    place = tree.places.pop(path, None)
    if value is None:
        return {}
    shape = shape_at(root, path, tree.root)
    if shape and isinstance(value, str) and any(value in part_names(part) for part in shape.parts):
        if place:
            tree.places[(*path, "name")] = place
        return {"name": value}
    where = f" ({place.where})" if place else ""
    raise ConfigError(f"{override.text}: {shown_path(path)} is {shown(value)}{where}, which has no keys.")


def _note(tree: Tree, path: Path, value: Any, place: Place) -> None:
    tree.places[path] = place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _note(tree, (*path, key), item, place)
