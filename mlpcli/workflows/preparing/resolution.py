"""Resolves the `auto` values of loss, output activation, label smoothing and target transform."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import HeldOut
from mlpcli.config.yaml.dumping import flow_text
from mlpcli.data.targets.target import Task
from mlpcli.data.targets.transforms import TargetTransform
from mlpcli.evaluation.metrics.scores import find_metric
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss, Poisson, Quantile, SquaredError

# The losses that each task supports.
TASK_LOSSES: dict[str, tuple[str, ...]] = {
    "classification": ("cross_entropy", "binary_cross_entropy", "squared_error", "absolute_error", "huber"),
    "regression": ("squared_error", "absolute_error", "huber", "poisson", "quantile"),
    "multilabel": ("binary_cross_entropy", "squared_error", "absolute_error", "huber"),
}
DEFAULT_LOSSES: dict[str, Loss] = {
    "classification": CrossEntropy(),
    "regression": SquaredError(),
    "multilabel": BinaryCrossEntropy(),
}

# The value of `label_smoothing: auto` if the metric scores labels (the value of RealMLP).
AUTO_LABEL_SMOOTHING = 0.1

# Output activations whose range is in the domain of the logarithms of a loss.
PROBABILITIES = ("sigmoid", "softmax")
POSITIVES = ("exp", "softplus", "sigmoid", "softmax", "relu")
UNBOUNDED_POSITIVES = ("exp", "softplus", "relu", "identity")
LOSS_DOMAINS: dict[str, tuple[str, ...]] = {
    "cross_entropy": PROBABILITIES,
    "binary_cross_entropy": PROBABILITIES,
    "poisson": POSITIVES,
}


SEVERAL_ROUNDS = "Write members.folds, and a count that is several times that."


def uses_folds(loaded: LoadedConfig) -> bool:
    """Whether each member leaves out a fold of the training rows, so that all training rows are validation rows.

    Raises ConfigError if folds cannot be combined with the rest of the config.
    """
    members = loaded.config.model.members
    if members.rows != "folds":
        if members.folds is not None:
            raise loaded.error("model.members.folds", "applies to members.rows: folds only. Leave it out.")
        if members.repeat_folds:
            raise loaded.error("model.members.repeat_folds", "applies to members.rows: folds only. Leave it out.")
        return False
    if members.count < 2:
        raise loaded.error("model.members.rows", "folds need at least 2 members. Set model.members.count.")
    if members.folds is not None and members.count % members.folds:
        raise loaded.error("model.members.folds", f"{members.folds} does not divide the {members.count} members.")
    held_out = loaded.config.data.validation
    is_strategy = isinstance(held_out, HeldOut) and held_out.column is None
    if held_out and not is_strategy:
        raise loaded.error(
            "data.validation", "model.members.rows: folds defines the validation rows. Write validation: null."
        )
    if isinstance(held_out, HeldOut) and held_out.fraction is not None:
        raise loaded.error("data.validation.fraction", "each fold is held out once. Leave it out.")
    if members.repeat_folds:
        _check_repeats(loaded)
    return True


def _check_repeats(loaded: LoadedConfig) -> None:
    """Raise ConfigError if folds cannot be repeated: there is one round, or one way to divide the rows."""
    members, held_out = loaded.config.model.members, loaded.config.data.validation
    key = "model.members.repeat_folds"
    if members.count == (members.folds or members.count):
        raise loaded.error(key, f"there is one round of members. {SEVERAL_ROUNDS}")
    if isinstance(held_out, HeldOut) and (held_out.time or held_out.hash):
        by = "time" if held_out.time else "hash"
        raise loaded.error(key, f"data.validation.{by} determines the folds, so there are no others. Leave one out.")


def check_selection(loaded: LoadedConfig) -> None:
    """Raise ConfigError if members should be selected, but there are no validation rows or not enough members."""
    members = loaded.config.model.members
    if members.select == "all":
        return
    key = "model.members.select"
    if not has_validation(loaded):
        raise loaded.error(key, "needs validation rows to select by: set data.validation, or members.rows: folds.")
    if members.count < 2:
        raise loaded.error(key, "needs members to select among. Set model.members.count.")
    if uses_folds(loaded) and members.count == (members.folds or members.count):
        raise loaded.error(
            key,
            "selects among rounds of members, each of which leaves out every fold once, and there is one. "
            + SEVERAL_ROUNDS,
        )


def has_validation(loaded: LoadedConfig) -> bool:
    """Whether the config gives validation rows: a split, a file or folds."""
    return bool(loaded.config.data.validation) or uses_folds(loaded)


def resolve_loss(loaded: LoadedConfig, task: Task) -> Loss:
    """The configured loss, or the default of the task; raises ConfigError for a loss that the task does not support."""
    _check_layers(loaded)
    configured = loaded.config.training.loss
    if isinstance(configured, str):
        # A single output is the probability of the second of two classes.
        single = task == "classification" and loaded.config.model.layers[-1] == 1
        return BinaryCrossEntropy() if single else DEFAULT_LOSSES[task]
    if configured.name not in TASK_LOSSES[task]:
        fitting = ", ".join(TASK_LOSSES[task])
        raise loaded.error(
            "training.loss",
            f"{configured.name} does not go with {task}. Use one of {fitting}, or set the task by task: ...",
        )
    if isinstance(configured, Quantile) and list(configured.output_quantiles) != sorted(
        set(configured.output_quantiles)
    ):
        raise loaded.error(
            "training.loss.quantile",
            f"{flow_text(list(configured.output_quantiles))} is not increasing. Write it like [0.05, 0.5, 0.95].",
        )
    return configured


def resolve_label_smoothing(loss: Loss, metric: str) -> Loss:
    """Resolve `label_smoothing: auto`: smoothing improves labels, but distorts probabilities.

    So it is used only if `metric` scores labels.
    """
    if not isinstance(loss, CrossEntropy | BinaryCrossEntropy) or loss.label_smoothing != "auto":
        return loss
    scores_labels = metric != "loss" and not find_metric(metric).judges_probabilities
    return replace(loss, label_smoothing=AUTO_LABEL_SMOOTHING if scores_labels else 0.0)


def label_smoothing_of(loss: Loss) -> float:
    """The resolved label smoothing, from 0 to 1; 0 for a loss without it."""
    smoothing = loss.label_smoothing if isinstance(loss, CrossEntropy | BinaryCrossEntropy) else 0.0
    return 0.0 if smoothing == "auto" else smoothing


def smoothing_note(configured: Loss, loss: Loss, metric: str) -> list[str]:
    """A note if `auto` became smoothing: losses are those of smoothed targets, and probabilities less confident."""
    if configured == loss or not label_smoothing_of(loss):
        return []
    return [f"label_smoothing auto is {label_smoothing_of(loss):g}: {metric} scores labels, not probabilities."]


def estimates_means(loss: Loss) -> bool:
    """Whether the mean of the targets minimizes the loss; for classes these are their probabilities."""
    return isinstance(loss, CrossEntropy | BinaryCrossEntropy | SquaredError)


def resolve_output_activation(loaded: LoadedConfig, loss: Loss) -> str:
    """The activation of the last layer: the configured one, or the canonical one of the loss."""
    configured = loaded.config.model.output_activation
    return loss.canonical_activation if configured == "auto" else configured


def domain_warning(loss: Loss, output_activation: str) -> str:
    """A sentence if the outputs can leave the domain of the loss, else ""."""
    domain = LOSS_DOMAINS.get(loss.name, (output_activation,))
    if output_activation in domain:
        return ""
    return (
        f"{loss.name} takes logarithms of the outputs, and {output_activation} outputs can be zero or negative: "
        f"the loss is extended linearly there. Its canonical activation is {loss.canonical_activation}."
    )


def resolve_target_transform(loaded: LoadedConfig, loss: Loss, output_activation: str) -> TargetTransform:
    """The transform of regression targets; raises ConfigError for one that poisson does not support.

    `auto` standardizes targets for a linear output, and leaves them unchanged for a bounded one. It divides counts for
    poisson by their mean, so that gradients, and the effect of the learning rate, do not depend on their unit.
    """
    configured = loaded.config.preprocess.target
    if configured == "auto":
        if isinstance(loss, Poisson):
            return "scale" if output_activation in UNBOUNDED_POSITIVES else "none"
        return "standardize" if output_activation == "identity" else "none"
    if configured not in ("none", "scale") and isinstance(loss, Poisson):
        raise loaded.error(
            "preprocess.target", f"poisson needs counts, which {configured} does not leave. Write scale or none."
        )
    return configured


def _check_layers(loaded: LoadedConfig) -> None:
    layers = loaded.config.model.layers
    if len(layers) < 2:
        suggestion = ", ".join(map(str, ["auto", *(layers if layers != ("auto",) else ()), "auto"]))
        raise loaded.error("model.layers", f"needs at least the inputs and the outputs. Write [{suggestion}].")
    if "auto" in layers[1:-1]:
        raise loaded.error("model.layers", "only the first and the last size can be auto: give the hidden sizes.")


def class_target_table(n_classes: int, n_outputs: int, loss: Loss, dtype: str) -> NDArray[np.floating]:
    """The target outputs of each class (n_classes, n_outputs), by class code, with the label smoothing of the loss."""
    smoothing = label_smoothing_of(loss)
    if n_outputs == 1:
        table = np.array([[0.0], [1.0]])
        return np.asarray(table * (1.0 - smoothing) + smoothing / 2.0, dtype=dtype)
    return np.asarray(np.eye(n_classes) * (1.0 - smoothing) + smoothing / n_classes, dtype=dtype)
