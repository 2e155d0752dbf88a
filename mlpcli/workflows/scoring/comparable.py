"""Whether two models can be compared on the same rows."""

from typing import Any

from mlpcli.data.targets.target import BooleanTarget, ClassTarget
from mlpcli.errors import MlpError
from mlpcli.model import Model


def refuse_other_task(old_path: str, new_path: str, old: Model, new: Model) -> None:
    """Raise MlpError unless both models have the same task, targets and classes."""
    before, after = old.target, new.target
    both = f"{old_path} and {new_path}"
    if before.task != after.task:
        raise MlpError(f"{both}: one is for {before.task}, the other for {after.task}: the models cannot be compared.")
    if before.names != after.names:
        texts = f"{', '.join(before.names)} and {', '.join(after.names)}"
        raise MlpError(f"{both}: their targets differ: {texts}. Compare models with the same targets.")
    labels = [_possible_labels(model.target) for model in (old, new)]
    if labels[0] != labels[1]:
        unshared = sorted(set(labels[0]) ^ set(labels[1]))
        which = f" (not in both: {', '.join(unshared[:6])}{', ...' if len(unshared) > 6 else ''})" if unshared else ""
        raise MlpError(f"{both}: their classes differ{which}. Train both on data with the same classes.")


def _possible_labels(target: Any) -> tuple[str, ...]:
    """Every label that a model can predict, in order; empty for regression."""
    if isinstance(target, ClassTarget):
        return target.labels
    return tuple(text for texts in target.levels for text in texts) if isinstance(target, BooleanTarget) else ()


def common_weight(old: Model, new: Model) -> tuple[str, list[str]]:
    """The weight column that both models were trained with; "" and a note if they differ."""
    if old.weight_column == new.weight_column:
        return new.weight_column, []
    return "", ["the models were trained with different sample weights: the scores are not weighted."]
