"""Short forms of values in the YAML: a name for a part, a number for a count, one name for a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema, core_schema

# Keywords of the JSON Schema that say what else may stand at a place.
SHORT_FORM = "x-short-form"  # the key whose value alone stands for the mapping; ITEM: one text stands for a list of one
DEFAULT_NAME = "x-default-name"  # the part that a mapping without a name means
ITEM = "item"


@dataclass(frozen=True, slots=True)
class ShortForm:
    """What may be written in place of the whole value: `Annotated[Members, COUNTED]` takes a number.

    `expand` makes the whole value of it, and gives any other value back. It speaks to pydantic as `Setting` does.
    """

    expand: Callable[[Any], Any]
    key: str
    default_name: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: Callable[[CoreSchema], dict[str, Any]]
    ) -> dict[str, Any]:
        found = {**handler(schema), SHORT_FORM: self.key}
        return found if self.default_name is None else {**found, DEFAULT_NAME: self.default_name}


def named(default: str | None) -> ShortForm:
    """A part by its name alone: `adam` means `{name: adam}`; a mapping without `name` takes the default's."""

    def expand(value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict):
            return value
        options = {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}
        return options if "name" in value or default is None else {"name": default, **options}

    return ShortForm(expand, "name", default)


def named_or_text(*texts: str) -> ShortForm:
    """As `named`, but the given texts stay what they are."""
    by_name = named(None)

    def expand(value: Any) -> Any:
        return value if isinstance(value, str) and value in texts else by_name.expand(value)

    return ShortForm(expand, "name")


def _counted(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("draw"), dict):
        return {**value, "draw": {key: _with_tuples(one) for key, one in value["draw"].items()}}
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _with_tuples(value: Any) -> Any:
    """A mapping whose lists are tuples: what has passed a function is no JSON any more, where a list is a tuple."""
    if not isinstance(value, dict):
        return value
    return {key: tuple(one) if isinstance(one, list) else one for key, one in value.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _by_role(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("missing"), list):
        return {**value, "missing": tuple(value["missing"])}
    return {"role": value} if isinstance(value, str) else value


COUNTED = ShortForm(_counted, "count")  # a number alone is the count
LISTED = ShortForm(_listed, ITEM)  # one name means a list of one
BY_ROLE = ShortForm(_by_role, "role")  # a role alone says how to read a column
