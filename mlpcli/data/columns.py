"""One input column: what it is, and how it was fitted."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from mlpcli.data.categorical import sort_levels
from mlpcli.data.cells import (
    Series,
    TextCells,
    is_code,
    is_date_dtype,
    is_number_dtype,
    number_text,
    parse_numbers,
    text_cells,
)
from mlpcli.data.dates import cycle_names, find_date_formats
from mlpcli.dataclass import dataclass
from mlpcli.options import Setting

Role = Literal["number", "category", "yes_no", "date"]

# Pairs of texts read as no and yes, in any case.
YES_NO_WORDS = (("no", "yes"), ("false", "true"), ("n", "y"), ("f", "t"), ("0", "1"))

# Of more distinct texts than this, a share up to STRAY_SHARE may be no numbers in a column of numbers.
MANY_TEXTS = 20
STRAY_SHARE = 0.05


@dataclass(frozen=True)
class Column:
    """One input column as it was fitted.

    `levels` are the levels with an input of their own (category) or the texts of no and yes (yes_no); `is_signed` says
    that two of them share one, as -1 and 1. `flag_of` names the column whose missing flag this one shares (itself,
    mostly), "" when it has none. `minimum` and `maximum` are of the training rows, of a date as day number from
    1970-01-01. `clip` is the bound of the scaled value, `n_quantiles` the number of knots of a quantile scaler (0 with
    another scaler), `n_bins` the number of inputs that a piecewise-linear encoding adds, which go
    from 0 to 1, or from -`bin_span` to `bin_span`. `n_distinct` counts the distinct training values of a number or date
    up to 1000; 0 where they were not counted.
    """

    name: str
    role: Role
    levels: tuple[str, ...] = ()
    has_number_levels: bool = False
    has_missing_level: bool = False
    has_other_level: bool = False
    date_format: str = ""
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
    def n_edges(self) -> int:
        """How many edges its bins have."""
        return self.n_bins + 1 if self.n_bins else 0

    @property
    def n_inputs(self) -> int:
        """How many inputs of the network this column feeds, a flag it shares with an earlier column not counted."""
        flag = 1 if self.flag_of == self.name else 0
        match self.role:
            case "number":
                return 1 + self.n_bins + flag
            case "date":
                return 1 + self.n_bins + len(cycle_names(self.has_time)) + flag
            case "yes_no":
                return 1 + flag
            case "category" if self.is_signed:
                return 1
            case "category":
                return len(self.levels) + self.has_missing_level + self.has_other_level


def find_role(series: Series, texts: Callable[[], TextCells] | None = None) -> Role:
    """What a column holds, judged by its dtype and its distinct values; 0 and 1 are numbers like others.

    `texts` gives its cells as texts, should they be asked for.
    """
    if is_number_dtype(series):
        return "number"
    return find_text_role(series, text_cells(series) if texts is None else texts())


def find_text_role(series: Series, cells: TextCells) -> Role:
    """What a column that is not made of numbers holds; `cells` are its texts."""
    if is_date_dtype(series):
        return "date"
    if not cells.texts:
        return "category"
    if find_yes_no(cells.texts) is not None:
        return "yes_no"
    # Whoever hands over categories has said what their numbers are.
    if not isinstance(series.dtype, pd.CategoricalDtype):
        if are_numbers(cells.texts):
            return "number"
        if find_date_formats(cells.texts):
            return "date"
        if _are_mostly_numbers(cells.texts):
            return "number"
    return "category"


def find_yes_no(texts: Sequence[str]) -> tuple[str, str] | None:
    """The words for no and yes that the texts are spelled with, if both occur and nothing else does."""
    # Every word and its capitals: more distinct texts than this cannot all be two words.
    if len(texts) > 16:
        return None
    folded = {text.casefold() for text in texts}
    pair = next((pair for pair in YES_NO_WORDS if folded == set(pair)), None)
    if pair is None:
        return None
    no, yes = (next(text for text in sorted(texts) if text.casefold() == word) for word in pair)
    return no, yes


def complete_yes_no(texts: Sequence[str]) -> tuple[str, str] | None:
    """Texts of no and yes for a column the user calls yes/no: words for it, or any two texts in their order."""
    if (words := find_yes_no(texts)) is not None:
        return words
    if len(texts) == 1:
        word = texts[0].casefold()
        pair = next((pair for pair in YES_NO_WORDS if word in pair), None)
        if pair is None:
            return None
        return (texts[0], pair[1]) if word == pair[0] else (pair[0], texts[0])
    if len(texts) != 2:
        return None
    first, second = sort_levels(texts)
    return first, second


def are_numbers(texts: Sequence[str]) -> bool:
    """Whether every text is an amount: a number, and not digits with a leading zero (01) or too many to count with."""
    values, unknown = parse_numbers(texts)
    if unknown.any() or np.isnan(values).all():
        return False
    return not any(map(is_code, texts))


def _are_mostly_numbers(texts: Sequence[str]) -> bool:
    """Whether a few stray texts stand among many numbers: a mistake to be shown, not a column of words."""
    if len(texts) <= MANY_TEXTS:
        return False
    values, unknown = parse_numbers(texts)
    numbers = [text for text, is_unknown in zip(texts, unknown, strict=True) if not is_unknown]
    return bool(unknown.mean() <= STRAY_SHARE and not np.isnan(values).all() and not any(map(is_code, numbers)))


def yes_no_sign(levels: Sequence[str], text: str) -> float:
    """-1 for no, +1 for yes, NaN for neither.

    Case does not matter, nor how a number is spelled (1.0); levels that are words for it stand for all such words.
    """
    if text in levels:
        return -1.0 if text == levels[0] else 1.0
    no, yes = (level.casefold() for level in levels)
    folded = text.casefold()
    values, unknown = parse_numbers([folded])
    if not unknown[0] and not np.isnan(values[0]):
        folded = number_text(values[0])
    pairs = YES_NO_WORDS if (no, yes) in YES_NO_WORDS else ((no, yes),)
    signs = {word: sign for pair in pairs for word, sign in zip(pair, (-1.0, 1.0), strict=True)}
    return signs.get(folded, np.nan)
