"""Options classes: frozen dataclasses whose fields have documentation and bounds in their annotations.

The class that computes, such as `nn.optimizers.Adam`, is the one that validates the config and that docs/config.md
describes, so each bound and description is written once. `Setting` works with pydantic without importing it: pydantic
calls the methods `__get_pydantic_core_schema__` and `__get_pydantic_json_schema__` of annotations, and reads
`__pydantic_config__` of a class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, TypeVar, dataclass_transform

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class Setting:
    """Documentation and bounds of one field: `Annotated[float, Setting("Step size.", gt=0)]`.

    `examples` are values, or keys of a mapping, that an editor suggests; others are allowed.
    """

    doc: str
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    examples: tuple[str, ...] = ()

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that are set, under pydantic's names."""
        bounds = {"gt": self.gt, "ge": self.ge, "lt": self.lt, "le": self.le}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        schema = handler(source)
        inner = schema
        while inner["type"] in ("nullable", "default"):
            inner = inner["schema"]
        inner.update(self.bounds)
        return schema

    def __get_pydantic_json_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        schema = {**handler(source), "description": self.doc}
        return {**schema, "examples": list(self.examples)} if self.examples else schema


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[Options]) -> type[Options]:
    """Make a class a frozen dataclass of options that refuses unknown keys, bools for numbers, NaN and infinity."""
    frozen = dataclass(frozen=True, kw_only=True)(cls)
    checks = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
    frozen.__pydantic_config__ = checks  # type: ignore[attr-defined]
    frozen.__get_pydantic_json_schema__ = classmethod(_json_schema)  # type: ignore[attr-defined]
    return frozen


def _json_schema(cls: type, source: Any, handler: Any) -> Any:
    """The JSON Schema of a class with its docstring, which not every version of pydantic includes."""
    schema = handler(source)
    handler.resolve_ref_schema(schema)["description"] = cleandoc(cls.__doc__ or "")
    return schema
