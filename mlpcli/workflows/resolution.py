"""From what the config leaves open (`auto`) and what the data says to one network, one loss and one monitor."""

import os
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.preprocessor import Preprocessor
from mlpcli.data.target_transforms import TargetTransform
from mlpcli.data.targets import ClassTarget, Target, Task
from mlpcli.evaluation.scores import explain_unknown_metric, find_metric, metric_names
from mlpcli.nn.architecture import Front
from mlpcli.nn.losses import AbsoluteError, BinaryCrossEntropy, CrossEntropy, Huber, Loss, Poisson, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import count_parameters

# Losses that a task can be trained with; the first is what `auto` means.
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

# What `label_smoothing: auto` is where labels are judged (RealMLP's value).
SMOOTHING = 0.1

# Vectors as long as the parameters that a training holds: weights, the best ones, a copy, gradient, optimizer state.
VECTORS = 6

# Output activations whose values a loss's logarithms can take.
PROBABILITIES = ("sigmoid", "softmax")
POSITIVES = ("exp", "softplus", "sigmoid", "softmax", "relu")
LOSS_DOMAINS: dict[str, tuple[str, ...]] = {
    "cross_entropy": PROBABILITIES,
    "binary_cross_entropy": PROBABILITIES,
    "poisson": POSITIVES,
}


def uses_folds(loaded: LoadedConfig) -> bool:
    """Whether the members leave out folds of the training rows, which are then the validation rows.

    Raises ConfigError where that goes with nothing else in the config.
    """
    members = loaded.config.model.members
    if members.rows != "folds":
        return False
    if members.count < 2:
        raise loaded.error("model.members.rows", "folds need at least 2 members. Set model.members.count.")
    if loaded.config.data.validation:
        raise loaded.error(
            "data.validation", "model.members.rows: folds makes the validation rows. Write validation: null."
        )
    return True


def has_validation(loaded: LoadedConfig) -> bool:
    """Whether there will be validation rows."""
    return bool(loaded.config.data.validation) or uses_folds(loaded)


def resolve_loss(loaded: LoadedConfig, task: Task) -> Loss:
    """The loss of the task; raises ConfigError for one that does not go with it."""
    _check_layers(loaded)
    asked = loaded.config.training.loss
    if isinstance(asked, str):
        # One output can only be the probability of the second of two classes.
        single = task == "classification" and loaded.config.model.layers[-1] == 1
        return BinaryCrossEntropy() if single else DEFAULT_LOSSES[task]
    if asked.name not in TASK_LOSSES[task]:
        fitting = ", ".join(TASK_LOSSES[task])
        raise loaded.error(
            "training.loss", f"{asked.name} does not go with {task}. Use one of {fitting}, or set the task by task: ..."
        )
    return asked


def resolve_smoothing(loss: Loss, metric: str) -> Loss:
    """The loss with a number for `label_smoothing`: smoothed targets help labels and bend probabilities."""
    if not isinstance(loss, CrossEntropy | BinaryCrossEntropy) or loss.label_smoothing != "auto":
        return loss
    judges_labels = metric != "loss" and not find_metric(metric).judges_probabilities
    return replace(loss, label_smoothing=SMOOTHING if judges_labels else 0.0)


def smoothing_of(loss: Loss) -> float:
    """The resolved label smoothing; 0 of a loss without one."""
    smoothing = loss.label_smoothing if isinstance(loss, CrossEntropy | BinaryCrossEntropy) else 0.0
    return 0.0 if smoothing == "auto" else smoothing


def smoothing_note(asked: Loss, loss: Loss, metric: str) -> list[str]:
    """A sentence where `auto` smooths: the losses shown are of smoothed targets, the probabilities less sure."""
    if asked == loss or not smoothing_of(loss):
        return []
    return [f"label_smoothing auto is {smoothing_of(loss):g}: {metric} judges labels, not probabilities."]


def resolve_output_activation(loaded: LoadedConfig, loss: Loss) -> str:
    """The activation of the last layer: the user's, or the loss's partner."""
    asked = loaded.config.model.output_activation
    return loss.partner if asked == "auto" else asked


def domain_warning(loss: Loss, output_activation: str) -> str:
    """One sentence where the outputs can leave what the loss is defined on, else ""."""
    domain = LOSS_DOMAINS.get(loss.name, (output_activation,))
    if output_activation in domain:
        return ""
    return (
        f"{loss.name} takes logarithms of the outputs, and {output_activation} outputs can be zero or negative: "
        f"the loss is continued by a straight line there. Its partner is {loss.partner}."
    )


def resolve_target_transform(loaded: LoadedConfig, loss: Loss, output_activation: str) -> TargetTransform:
    """What regression targets become: `auto` standardizes unless counts or a bounded output need the raw numbers."""
    asked = loaded.config.preprocess.target
    if asked == "auto":
        is_free = output_activation == "identity" and not isinstance(loss, Poisson)
        return "standardize" if is_free else "none"
    if asked != "none" and isinstance(loss, Poisson):
        raise loaded.error("preprocess.target", "poisson needs the counts as they are, not transformed. Write none.")
    return asked


def resolve_network(
    loaded: LoadedConfig, preprocessor: Preprocessor, target: Target, loss: Loss, output_activation: str
) -> Network:
    """The network n -> N -> ... -> M; raises ConfigError where explicit sizes do not fit the data."""
    model = loaded.config.model
    n_inputs, n_outputs = len(preprocessor.feature_names), _natural_outputs(target, loss)
    layers = model.layers
    if layers[0] not in ("auto", n_inputs):
        raise loaded.error(
            "model.layers",
            f"the data gives {n_inputs} inputs, layers[0] says {layers[0]} ({describe_inputs(preprocessor)}). "
            "Write auto.",
        )
    if layers[-1] not in _possible_outputs(target, loss):
        raise loaded.error(
            "model.layers",
            f"{describe_outputs(target)} need {n_outputs} outputs, the last size is {layers[-1]}. Write auto.",
        )
    if output_activation == "softmax" and layers[-1] == 1:
        raise loaded.error("model.output_activation", "softmax over one output is always 1. Use sigmoid.")
    hidden = tuple(int(size) for size in layers[1:-1])
    sizes = (n_inputs, *hidden, n_outputs if layers[-1] == "auto" else int(layers[-1]))
    network = Network(
        sizes, model.activation, output_activation, model.dropout, model.members.count,
        _front(loaded, preprocessor), model.learn_slopes, model.layer_norm, model.residual,
    )  # fmt: skip
    _check_memory(loaded, network)
    return network


def _front(loaded: LoadedConfig, preprocessor: Preprocessor) -> Front:
    """What the config asks for before the first layer, as far as the columns have any use for it."""
    model = loaded.config.model
    numbers = preprocessor.number_inputs if model.numeric_embedding is not None else ()
    embedding, blocks = model.category_embedding, preprocessor.category_blocks
    wide = () if embedding is None else tuple(b for b in blocks if b[1] - b[0] > embedding.above)
    return Front(
        model.scale_inputs,
        model.numeric_embedding if numbers else None,
        numbers,
        wide,
        embedding.size if embedding is not None and wide else 0,
    )


def _check_layers(loaded: LoadedConfig) -> None:
    layers = loaded.config.model.layers
    if len(layers) < 2:
        raise loaded.error("model.layers", "needs at least the inputs and the outputs, such as [auto, 32, auto].")
    if "auto" in layers[1:-1]:
        raise loaded.error("model.layers", "only the first and the last size can be auto: give the hidden sizes.")


def _check_memory(loaded: LoadedConfig, network: Network) -> None:
    """Refuse a network whose weights, gradient and optimizer state cannot fit into the machine."""
    needed = count_parameters(network) * np.dtype(loaded.config.training.dtype).itemsize * VECTORS
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > memory:
        shape = " -> ".join(map(str, network.sizes))
        raise loaded.error(
            "model.layers",
            f"{shape} takes about {needed / 1e9:.0f} GB to train, this machine has {memory / 1e9:.0f} GB. "
            "Use smaller layers.",
        )


def describe_inputs(preprocessor: Preprocessor) -> str:
    """What the inputs are made of: "6 columns: 4 numbers, 64 bins, island -> 3, sex -> 2, 1 missing-value flag"."""
    columns = preprocessor.columns
    numbers = [column for column in columns if column.role == "number"]
    parts = [f"{len(numbers)} numbers" if len(numbers) != 1 else "1 number"] if numbers else []
    n_bins = sum(column.n_bins for column in numbers)
    parts += [f"{n_bins} bins"] if n_bins else []
    parts += [f"{column.name} -> {column.n_inputs}" for column in columns if column.role != "number"]
    flags = sum(column.role == "number" and column.flag_of == column.name for column in columns)
    if flags:
        parts.append(f"{flags} missing-value flags" if flags != 1 else "1 missing-value flag")
    shown = parts if len(parts) <= 8 else [*parts[:7], f"{len(parts) - 7} more"]
    return f"{len(columns)} columns: {', '.join(shown)}"


def describe_outputs(target: Target) -> str:
    """What the outputs stand for: "3 classes", "2 targets"."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    return f"{len(target.names)} {'target' if len(target.names) == 1 else 'targets'}"


def class_target_table(n_classes: int, n_outputs: int, loss: Loss, dtype: str) -> NDArray[np.floating]:
    """Row `code` is what the outputs should be for that class (n_classes, n_outputs), smoothed if the loss asks."""
    smoothing = smoothing_of(loss)
    if n_outputs == 1:
        table = np.array([[0.0], [1.0]])
        return np.asarray(table * (1.0 - smoothing) + smoothing / 2.0, dtype=dtype)
    return np.asarray(np.eye(n_classes) * (1.0 - smoothing) + smoothing / n_classes, dtype=dtype)


def resolve_metric(loaded: LoadedConfig, task: Task, loss: Loss, names: tuple[str, ...]) -> str:
    """The metric that picks the best epoch ("loss" is the validation loss); raises ConfigError for an unknown one."""
    early_stopping = loaded.config.training.early_stopping
    if early_stopping is None:
        return "loss"
    if early_stopping.patience is not None and not has_validation(loaded):
        raise loaded.error(
            "training.early_stopping.patience", "needs validation rows to watch: set data.validation, or leave it out."
        )
    asked = early_stopping.metric
    if asked == "auto":
        if isinstance(loss, CrossEntropy | BinaryCrossEntropy):
            return "log_loss"
        if task != "regression":
            return "loss"
        # Of a bent target the loss is not in the user's units, in which the best epoch is to be best.
        is_bent = loaded.config.preprocess.target in ("log", "quantile")
        absolute = "mae" if is_bent and isinstance(loss, AbsoluteError | Huber) else "loss"
        return "rmse" if isinstance(loss, SquaredError) else absolute
    known = metric_names(task, names)
    if asked != "loss" and asked not in known:
        raise loaded.error("training.early_stopping.metric", explain_unknown_metric(asked, ("loss", *known)))
    return asked


def check_gates(loaded: LoadedConfig, task: Task, names: tuple[str, ...]) -> None:
    """Raise ConfigError for gates of `expect` on an unknown metric, or without rows to judge on."""
    config = loaded.config
    known = metric_names(task, names)
    for key, gates in (("expect.min", config.expect.min), ("expect.max", config.expect.max)):
        for metric in gates:
            if metric not in known:
                raise loaded.error(key, explain_unknown_metric(metric, known))
        if gates and not has_validation(loaded) and config.data.test is None:
            raise loaded.error(key, "needs rows to judge on that are not trained on: set data.validation or data.test.")


def metric_is_gain(metric: str) -> bool:
    """Whether more of the metric is better."""
    return metric != "loss" and find_metric(metric).higher_is_better


def _natural_outputs(target: Target, loss: Loss) -> int:
    if not isinstance(target, ClassTarget):
        return len(target.names)
    is_single = isinstance(loss, BinaryCrossEntropy) and len(target.labels) == 2
    return 1 if is_single else len(target.labels)


def _possible_outputs(target: Target, loss: Loss) -> tuple[object, ...]:
    if isinstance(target, ClassTarget) and len(target.labels) == 2 and not isinstance(loss, CrossEntropy):
        return ("auto", 1, 2)
    return ("auto", _natural_outputs(target, loss))
