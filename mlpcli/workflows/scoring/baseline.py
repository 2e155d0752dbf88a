"""Whether a model is far worse than the constant baseline: what every verb that shows its scores says then."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from mlpcli.messages import listed, number

# A log loss or an error of more than so many times the baseline's is far worse. Below it stand models that are odd for
# a reason: class weights, a quantile, rows of another kind.
FAR = 2.0
# A constant answer with less is right in every row, as log losses are clipped at the precision of a float64: no model
# beats it, and it says nothing about one. The rows have one class, or one number.
PERFECT = 1e-15


def far_worse(scores: Mapping[str, float | None], constant: Mapping[str, float | None], rows: str) -> str:
    """A sentence for scores far worse than those of the constant baseline on the same rows, else "".

    `rows` says of which rows: "the validation rows".
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
    """Whether a loss or an error of the baseline says something about a model on the same rows."""
    return constant is not None and constant > PERFECT


def far_worse_run(flat: Mapping[str, Any]) -> str:
    """The same from `part.metric` keys, as in metrics.json and in a model; the baseline is on the last part."""
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
    """The scores of one part, by metric."""
    found = {key.removeprefix(f"{part}."): value for key, value in flat.items() if key.startswith(f"{part}.")}
    return {key: value if isinstance(value, int | float) else None for key, value in found.items()}


def compared_keys(scores: Mapping[str, Any]) -> list[str]:
    """The scores that are compared: the log loss, or the error, of several targets that of each."""
    each = [key for key in scores if key.startswith("rmse[")]
    return each or [key for key in ("log_loss", "rmse") if key in scores]
