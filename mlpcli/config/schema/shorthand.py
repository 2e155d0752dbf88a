"""Short forms in YAML: a name for an object, a number for a count, one string for a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import CoreSchema, core_schema

# Keywords added to the JSON Schema.
SHORT_FORM = "x-short-form"  # the key whose value may replace the mapping; ITEM: a string may replace a list of one
DEFAULT_NAME = "x-default-name"  # the object that a mapping without `name` selects
ITEM = "item"


@dataclass(frozen=True, slots=True)
class ShortForm:
    """A short form of a value: `Annotated[Members, COUNTED]` also takes a number.

    `expand` turns the short form into the full value and returns any other value unchanged. The methods for pydantic
    are explained in `options.Setting`.
    """

    expand: Callable[[Any], Any]
    key: str
    default_name: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: Callable[[CoreSchema], dict[str, Any]]
    ) -> dict[str, Any]:
        json_schema = {**handler(schema), SHORT_FORM: self.key}
        return json_schema if self.default_name is None else {**json_schema, DEFAULT_NAME: self.default_name}


def named(default: str | None) -> ShortForm:
    """A name for an object: `adam` is `{name: adam}`. A mapping without `name` gets the name `default`."""

    def expand(value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict):
            return value
        options = _with_tuples(value)
        return options if "name" in value or default is None else {"name": default, **options}

    return ShortForm(expand, "name", default)


def named_or_text(*texts: str) -> ShortForm:
    """As `named`, except for `texts`, which are values themselves."""
    by_name = named(None)

    def expand(value: Any) -> Any:
        return value if value in texts else by_name.expand(value)

    return ShortForm(expand, "name")


def _counted(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("draw"), dict):
        return {**value, "draw": {key: _with_tuples(item) for key, item in value["draw"].items()}}
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _with_tuples(value: Any) -> Any:
    """A mapping with tuples for lists: after a Python validator pydantic is strict, and takes no list for a tuple."""
    if not isinstance(value, dict):
        return value
    return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _by_role(value: Any) -> Any:
    return {"role": value} if isinstance(value, str) else _with_tuples(value)


COUNTED = ShortForm(_counted, "count")  # a number is the count
LISTED = ShortForm(_listed, ITEM)  # a string is a list of one
BY_ROLE = ShortForm(_by_role, "role")  # a string is the role of a column
