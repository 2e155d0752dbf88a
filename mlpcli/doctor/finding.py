"""One thing that is wrong with a run: what was measured, why it matters, what to change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A sign of trouble.

    `fact` is a sentence with its number, `why` a sentence on what it costs, `remedy` begins with a verb and names the
    key of the config. `values` are the numbers of the fact by name, for machines.
    """

    fact: str
    why: str
    remedy: str
    values: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """What was looked for, and what was found.

    `name` is one of NAMES. `skipped` says why it could not be looked for, "" where it was.
    """

    name: str
    findings: Sequence[Finding] = ()
    skipped: str = ""


# Every check in the order of display, with what it looks for.
NAMES = {
    "rate": "learning rate too high or too low",
    "units": "hidden units that are constant over all rows, or saturated",
    "gradient": "layers whose gradient vanishes or explodes",
    "fit": "gap between training and validation rows",
    "baseline": "worse than the constant baseline",
    "classes": "classes that are never predicted",
    "leaks": "a single column that leaks the target",
    "copies": "duplicate or grouped rows on both sides of the split",
    "calibration": "miscalibrated probabilities or biased predictions",
    "drift": "held-out rows that differ from the training rows",
    "rows": "too few held-out rows for a reliable score",
}
