"""`@dataclass(frozen=True)` as in the standard library, but applied in a third of the time.

The original compiles six functions for each frozen class: for the hundred classes of a run that was a tenth of the time
of a small job. Here only `__init__` is compiled; the others stand below, once, and look the fields up when they are
called. Classes with slots and those that are not frozen take the original.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, eq: bool = True, kw_only: bool = False) -> Callable[[type], type]:
        """Make a class a frozen dataclass."""
        assert frozen
        shared = {"__setattr__": _set_once, "__delattr__": _refuse, "__repr__": _described}
        shared |= {"__eq__": _is_equal, "__hash__": _hashed} if eq else {}

        def made(cls: type) -> type:
            for name, function in shared.items():
                setattr(cls, name, function)
            return dataclasses.dataclass(repr=False, eq=False, kw_only=kw_only)(cls)

        return made


def _set_once(self: Any, name: str, value: object) -> None:
    """Give a field its value; `__init__` is the first to do so, and nobody is the second."""
    if name in self.__dict__ or name not in self.__dataclass_fields__:
        _refuse(self, name)
    self.__dict__[name] = value


def _refuse(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _described(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in dataclasses.fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


def _compared(self: Any) -> tuple[object, ...]:
    return tuple(getattr(self, one.name) for one in dataclasses.fields(self) if one.compare)


def _is_equal(self: object, other: object) -> bool:
    return _compared(self) == _compared(other) if type(self) is type(other) else NotImplemented


def _hashed(self: object) -> int:
    return hash(_compared(self))
