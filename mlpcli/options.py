"""What a choice in the YAML file is: a frozen dataclass whose fields carry their own documentation and bounds.

The class that computes (`nn.optimizers.Adam`, say) is the one the config validates and docs/config.md describes, so a
bound or a sentence is written once. `Setting` speaks to pydantic without importing it: pydantic asks the annotations it
finds for methods named `__get_pydantic_core_schema__` and `__get_pydantic_json_schema__`, and reads the class's
`__pydantic_config__`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, TypeVar, dataclass_transform

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class Setting:
    """Documentation and bounds of one field: `Annotated[float, Setting("Step size.", gt=0)]`.

    `examples` are texts that an editor offers, of a mapping its keys, where others may stand as well.
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
        named = {"gt": self.gt, "ge": self.ge, "lt": self.lt, "le": self.le}
        return {name: bound for name, bound in named.items() if bound is not None}

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        schema = handler(source)
        inner = schema
        while inner["type"] in ("nullable", "default"):
            inner = inner["schema"]
        inner.update(self.bounds)
        return schema

    def __get_pydantic_json_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        found = {**handler(source), "description": self.doc}
        return {**found, "examples": list(self.examples)} if self.examples else found


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[Options]) -> type[Options]:
    """Make a class a frozen dataclass of options that refuses unknown keys, bools for numbers, and NaN or infinity."""
    frozen = dataclass(frozen=True, kw_only=True)(cls)
    checks = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
    frozen.__pydantic_config__ = checks  # type: ignore[attr-defined]
    frozen.__get_pydantic_json_schema__ = classmethod(_described)  # type: ignore[attr-defined]
    return frozen


def _described(cls: type, source: Any, handler: Any) -> Any:
    """The JSON Schema of a class with its docstring, which not every pydantic takes over."""
    schema = handler(source)
    handler.resolve_ref_schema(schema)["description"] = cleandoc(cls.__doc__ or "")
    return schema
