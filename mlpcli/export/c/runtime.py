"""Functions that are copied into C sources: those of runtime.c individually, those of fixed.c together."""

import math
import re
from functools import cache
from importlib.resources import files

from mlpcli.export.c.names import declared

# Fractional bits of the logistic function in integers.
LOGISTIC_BITS = 24


@cache
def runtime() -> dict[str, str]:
    """The functions of c/runtime.c by name."""
    text = (files("mlpcli.export.c") / "runtime.c").read_text("utf-8")
    _, *parts = re.split(r"(?m)^// (\w+)\n", text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def needed(text: str) -> list[str]:
    """The runtime functions that a source calls, directly or indirectly, in the order of runtime.c."""
    parts, wanted = runtime(), set[str]()
    texts = [text]
    while texts:
        words = set(re.findall(r"(\w+)\(", texts.pop())) & parts.keys() - wanted
        wanted |= words
        texts += [parts[word] for word in words]
    return [part for name, part in parts.items() if name in wanted]


@cache
def fixed_runtime(has_logistic: bool) -> str:
    """The functions of c/fixed.c; the logistic function and its table only if needed."""
    text = (files("mlpcli.export.c") / "fixed.c").read_text("utf-8").partition("\n")[2]
    functions, _, logistic = text.partition("// fixed_logistic\n")
    if not has_logistic:
        return functions
    table = [round(2.0**LOGISTIC_BITS / (1.0 + math.exp(-step / 32.0))) for step in range(513)]
    return functions + declared("static const int32_t logistic_table", [str(value) for value in table]) + logistic
