"""How every verb shows targets, and which scores come first."""

from mlpcli.data.targets import ClassTarget, Target

# What the table after a training shows; metrics.json has every score.
MAIN_METRICS = {
    "classification": ("accuracy", "balanced_accuracy", "log_loss", "roc_auc"),
    "regression": ("rmse", "mae", "r2"),
    "multilabel": ("subset_accuracy", "hamming_loss", "log_loss", "roc_auc"),
}


def describe_target(target: Target) -> str:
    """`3 classes`, `target price`, `targets a, b`."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    return f"{'target' if len(target.names) == 1 else 'targets'} {', '.join(target.names)}"
