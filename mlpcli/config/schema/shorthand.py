"""Short forms of values in the YAML: a name for a part, a number for a count, one name for a list."""

from typing import Any

from pydantic import BeforeValidator


def named(default: str | None) -> BeforeValidator:
    """A part by its name alone: `adam` means `{name: adam}`; a mapping without `name` takes the default's."""

    def expand(value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "name" not in value and default is not None:
            return {"name": default, **value}
        return value

    return BeforeValidator(expand)


def named_or_text(*texts: str) -> BeforeValidator:
    """As `named`, but the given texts stay what they are."""
    by_name = named(None)

    def expand(value: Any) -> Any:
        return value if isinstance(value, str) and value in texts else by_name.func(value)  # type: ignore[call-arg]

    return BeforeValidator(expand)


def counted(value: Any) -> Any:
    """A number alone is the count."""
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def listed(value: Any) -> Any:
    """One name means a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def by_role(value: Any) -> Any:
    """A role alone says how to read a column."""
    if isinstance(value, dict) and isinstance(value.get("missing"), list):
        return {**value, "missing": tuple(value["missing"])}
    return {"role": value} if isinstance(value, str) else value
