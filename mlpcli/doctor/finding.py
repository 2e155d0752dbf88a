"""Result types of the checks of `mlp doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """A problem of a run.

    `fact` is a sentence with the measured number, `why` one on its effect, `remedy` begins with a verb and names a
    config key. `values` are the numbers of the fact by name, for JSON.
    """

    fact: str
    why: str
    remedy: str
    values: Mapping[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A check and its findings.

    `name` is one of NAMES. `skipped` is the reason why it could not run, "" if it did.
    """

    name: str
    findings: Sequence[Finding] = ()
    skipped: str = ""


# Every check in the order of display, with its description.
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
