"""Columns of typed sources for output files: unchanged, or as cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.typed.columns import text_of


@dataclass(frozen=True)
class KeptArray:
    """An Arrow array of a type that `arrow_column` reads, with its package."""

    pa: Any
    array: Any

    def cells(self) -> Sequence[Any] | NDArray[Any]:
        """Numbers as an array, other cells as a list, None if missing.

        Dates are `YYYY-MM-DD`. Times have all digits of their unit, also at midnight, and end in Z if they have a zone.
        """
        pa, array = self.pa, self.array
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        types, its_type = pa.types, array.type
        if types.is_float16(its_type):
            return [None if cell is None else float(str(np.float16(cell))) for cell in array.to_pylist()]
        if types.is_floating(its_type) or (types.is_integer(its_type) and not array.null_count):
            return np.asarray(array.to_numpy(zero_copy_only=False))
        if types.is_timestamp(its_type):
            texts = array.cast(pa.timestamp(its_type.unit)).cast(pa.string()).to_pylist()
            end = "" if its_type.tz is None else "Z"
            return [text and text.replace(" ", "T") + end for text in texts]
        if types.is_date(its_type):
            return list(array.cast(pa.date32()).cast(pa.string()).to_pylist())
        return list(array.to_pylist())


def kept_text(cell: Any) -> str:
    """The CSV text of a cell, with all its digits; "" if missing."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return cell.isoformat() if isinstance(cell, date) else text_of(cell)
