"""A note if a model is far worse than the constant baseline, for all verbs that print scores."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from mlpcli.messages import format_list, format_number

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
        loss, baseline = scores.get(key), constant.get(key)
        if loss is not None and can_be_beaten(baseline) and loss > FAR * baseline:
            bad.append(f"{key} is {format_number(loss)}, the baseline's {format_number(baseline)}")
    if not bad:
        return ""
    return (
        f"on {rows} the model is far worse than the constant baseline, which ignores the inputs: "
        f"{format_list(bad, 4)}. Do not use its predictions."
    )


def can_be_beaten(constant: float | None) -> TypeGuard[float]:
    """Whether a loss or error of the baseline is large enough to compare with."""
    return constant is not None and constant > PERFECT


def far_worse_run(flat: Mapping[str, Any]) -> str:
    """As `far_worse`, from `split.metric` keys as in metrics.json and in a model; the baseline is on the last split."""
    for split, rows in (
        ("test", "the test rows"),
        ("validation", "the validation rows"),
        ("train", "the training rows"),
    ):
        scores = split_scores(flat, split)
        if scores:
            return far_worse(scores, split_scores(flat, "constant"), rows)
    return ""


def split_scores(flat: Mapping[str, Any], split: str) -> dict[str, float | None]:
    """The scores of one split, by metric."""
    scores = {key.removeprefix(f"{split}."): value for key, value in flat.items() if key.startswith(f"{split}.")}
    return {key: value if isinstance(value, int | float) else None for key, value in scores.items()}


def compared_keys(scores: Mapping[str, Any]) -> list[str]:
    """The keys of the scores to compare: log loss or RMSE, for several numeric targets the RMSE of each."""
    by_target = [key for key in scores if key.startswith("rmse[")]
    return by_target or [key for key in ("log_loss", "rmse") if key in scores]
