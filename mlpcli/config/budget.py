"""What a training may take: seconds and memory."""

import re
from typing import Annotated

from mlpcli.options import Setting, options

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@options
class BudgetConfig:
    """What a training may take; when that is used up, it ends and the best model so far is kept."""

    seconds: Annotated[
        float | None, Setting("Seconds of the training, reading included. null sets no limit.", gt=0)
    ] = None
    memory: Annotated[
        str | Annotated[int, Setting("Bytes.", ge=1)] | None,
        Setting(
            "Most memory of the process, in bytes or as a text such as 500MB, 2GB or 2GiB; what is expected to need "
            "more does not start, but rows that do not fit are trained on from disk. null sets no limit."
        ),
    ] = None


def parse_memory(amount: str | int) -> int:
    """Bytes of `2GB`, `500 MB`, `2GiB` or a plain number; raises ValueError for anything else, and for less than 1."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]i?)?b?", str(amount).strip().lower())
    if found is None or not (n_bytes := int(float(found[1]) * UNITS[found[2] or ""])):
        raise ValueError(f"{amount} is no amount of memory")
    return n_bytes
