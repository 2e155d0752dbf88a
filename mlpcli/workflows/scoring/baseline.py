"""The note that a model is far worse than the constant baseline, which every verb that shows scores prints."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from mlpcli.messages import listed, number

# A log loss or error above this multiple of the baseline's is far worse. Smaller ratios may have a good reason: class
# weights, a quantile loss, rows from another distribution.
FAR = 2.0
# A constant prediction with a smaller loss is correct in every row (log losses are clipped at the precision of
# float64): the rows have a single class or number, so that no model can beat it.
PERFECT = 1e-15


def far_worse(scores: Mapping[str, float | None], constant: Mapping[str, float | None], rows: str) -> str:
    """A sentence if scores are far worse than those of the constant baseline on the same rows, otherwise "".

    `rows` names the rows in the sentence: "the validation rows".
    """
    bad = []
    for key in compared_keys(scores):
        own, other = scores.get(key), constant.get(key)
        if own is not None and can_be_beaten(other) and own > FAR * other:
            bad.append(f"{key} is {number(own)}, the baseline's {number(other)}")
    if not bad:
        return ""
    return (
        f"on {rows} the model is far worse than the constant baseline, which ignores the inputs: {listed(bad, 4)}. "
        "Do not use its predictions."
    )


def can_be_beaten(constant: float | None) -> TypeGuard[float]:
    """Whether a loss or error of the baseline is large enough to compare with."""
    return constant is not None and constant > PERFECT


def far_worse_run(flat: Mapping[str, Any]) -> str:
    """As `far_worse`, from `split.metric` keys as in metrics.json and in a model; the baseline is on the last split."""
    for part, rows in (
        ("test", "the test rows"),
        ("validation", "the validation rows"),
        ("train", "the training rows"),
    ):
        scores = of_part(flat, part)
        if scores:
            return far_worse(scores, of_part(flat, "constant"), rows)
    return ""


def of_part(flat: Mapping[str, Any], part: str) -> dict[str, float | None]:
    """The scores of one split, by metric."""
    found = {key.removeprefix(f"{part}."): value for key, value in flat.items() if key.startswith(f"{part}.")}
    return {key: value if isinstance(value, int | float) else None for key, value in found.items()}


def compared_keys(scores: Mapping[str, Any]) -> list[str]:
    """The keys of the scores to compare: the log loss or the error, for several targets that of each."""
    each = [key for key in scores if key.startswith("rmse[")]
    return each or [key for key in ("log_loss", "rmse") if key in scores]
