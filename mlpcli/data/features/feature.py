"""`Feature`: a fitted input column, and the number of network inputs it feeds."""

from dataclasses import dataclass
from typing import Annotated

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.dates.parsing import cycle_names
from mlpcli.data.table import Role
from mlpcli.options import Setting


@dataclass(frozen=True)
class Feature:
    """A fitted input column: its `schema`, and its statistics over the training rows.

    `levels` are the category levels with an input of their own; with `is_signed`, two levels share one input, -1 and 1.
    `flag_of` names the column whose missing indicator it shares (mostly itself), "" without one. `minimum` and
    `maximum` are of the training rows, dates as days since 1970-01-01. `clip` is the bound of the scaled value,
    `n_quantiles` the number of knots of a quantile scaler (otherwise 0), `n_bins` the number of piecewise-linear
    inputs, with range 0 to 1, or -`bin_span` to `bin_span`. `n_distinct` counts distinct training values of a number or
    date, up to 1000; 0 if not counted.
    """

    schema: ColumnSchema
    levels: tuple[str, ...] = ()
    has_missing_level: bool = False
    has_other_level: bool = False
    has_time: bool = False
    flag_of: str = ""
    refuses_missing: bool = False
    n_missing: int = 0
    minimum: float | None = None
    maximum: float | None = None
    is_signed: bool = False
    clip: Annotated[float | None, Setting("Bound.", gt=0)] = None
    n_quantiles: Annotated[int, Setting("Knots.", ge=0)] = 0
    n_bins: Annotated[int, Setting("Bins.", ge=0)] = 0
    bin_span: Annotated[float | None, Setting("Span.", gt=0, le=1000)] = None
    n_distinct: Annotated[int, Setting("Distinct values.", ge=0)] = 0

    @property
    def name(self) -> str:
        """The name of the column."""
        return self.schema.name

    @property
    def role(self) -> Role:
        """The role of the column."""
        return self.schema.role

    @property
    def is_numeric(self) -> bool:
        """Whether it is scaled: a number or a date."""
        return self.role in ("number", "date")

    @property
    def n_edges(self) -> int:
        """Number of bin edges."""
        return self.n_bins + 1 if self.n_bins else 0

    @property
    def n_inputs(self) -> int:
        """Number of network inputs, without an indicator shared with an earlier column."""
        flag = 1 if self.flag_of == self.name else 0
        match self.role:
            case "number":
                return 1 + self.n_bins + flag
            case "date":
                return 1 + self.n_bins + len(cycle_names(self.has_time)) + flag
            case "boolean":
                return 1 + flag
            case "category" if self.is_signed:
                return 1
            case "category":
                return len(self.levels) + self.has_missing_level + self.has_other_level
