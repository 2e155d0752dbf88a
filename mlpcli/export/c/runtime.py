"""The functions that C sources are made of: those of runtime.c one by one, those of fixed.c together."""

import math
import re
from functools import cache
from importlib.resources import files

from mlpcli.export.c.names import declared

# The logistic function in integers is over 2 to this power.
LOGISTIC_BITS = 24


@cache
def runtime() -> dict[str, str]:
    """The functions of c/runtime.c, by their names."""
    text = (files("mlpcli.export.c") / "runtime.c").read_text("utf-8")
    _, *parts = re.split(r"(?m)^// (\w+)\n", text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def needed(text: str) -> list[str]:
    """The functions of the runtime that a text calls, and those that these call, in the order of the runtime."""
    parts, wanted = runtime(), set[str]()
    texts = [text]
    while texts:
        words = set(re.findall(r"(\w+)\(", texts.pop())) & parts.keys() - wanted
        wanted |= words
        texts += [parts[word] for word in words]
    return [part for name, part in parts.items() if name in wanted]


@cache
def fixed_runtime(has_logistic: bool) -> str:
    """The functions of c/fixed.c; the last one and its table only where a network has it."""
    text = (files("mlpcli.export.c") / "fixed.c").read_text("utf-8").partition("\n")[2]
    always, _, logistic = text.partition("// fixed_logistic\n")
    if not has_logistic:
        return always
    table = [round(2.0**LOGISTIC_BITS / (1.0 + math.exp(-place / 32.0))) for place in range(513)]
    return always + declared("static const int32_t logistic_table", [str(value) for value in table]) + logistic
