"""Columns of typed sources that are copied to output files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.typed.columns import cell_text


@dataclass(frozen=True)
class KeptArray:
    """An Arrow array of a type supported by `arrow_column`; `pa` is the package pyarrow, which is optional."""

    pa: Any
    array: Any

    def cells(self) -> Sequence[Any] | NDArray[Any]:
        """Numbers without missing cells as an array, otherwise a list with None for missing cells.

        Dates are texts `YYYY-MM-DD`. Times are ISO texts with all digits of their unit; with a time zone they end in Z.
        """
        pa, array = self.pa, self.array
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        types, arrow_type = pa.types, array.type
        if types.is_float16(arrow_type):
            return [None if cell is None else float(str(np.float16(cell))) for cell in array.to_pylist()]
        if types.is_floating(arrow_type) or (types.is_integer(arrow_type) and not array.null_count):
            return np.asarray(array.to_numpy(zero_copy_only=False))
        if types.is_timestamp(arrow_type):
            texts = array.cast(pa.timestamp(arrow_type.unit)).cast(pa.string()).to_pylist()
            suffix = "" if arrow_type.tz is None else "Z"
            return [text and text.replace(" ", "T") + suffix for text in texts]
        if types.is_date(arrow_type):
            return list(array.cast(pa.date32()).cast(pa.string()).to_pylist())
        return list(array.to_pylist())


def kept_text(cell: Any) -> str:
    """The CSV text of a cell, with all its digits; "" if missing."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return cell.isoformat() if isinstance(cell, date) else cell_text(cell)
