"""The network of a config and its data: sizes, members, and what stands before the layers."""

import os
from typing import Any

import numpy as np

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.bins import NoEncoding
from mlpcli.data.features.preprocessor import Preprocessor
from mlpcli.data.targets.target import ClassTarget, Target
from mlpcli.nn.architecture import Front
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import count_parameters

# Vectors as long as the parameters that a training holds: weights, the best ones, a copy, gradient, optimizer state.
VECTORS = 6


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
    cosines = model.numeric_embedding
    numbers = () if cosines is None else preprocessor.number_inputs_with(cosines.min_distinct)
    embedding, blocks = model.category_embedding, preprocessor.category_blocks
    wide = () if embedding is None else tuple(b for b in blocks if b[1] - b[0] > embedding.above)
    return Front(
        is_scaled=model.scale_inputs,
        periodic=cosines if numbers else None,
        numbers=numbers,
        blocks=wide,
        embedding=embedding.size if embedding is not None and wide else 0,
        **_views(loaded, preprocessor, has_cosines=bool(numbers)),
    )


def _views(loaded: LoadedConfig, preprocessor: Preprocessor, has_cosines: bool) -> dict[str, Any]:
    """Which members see cosines and which see bins: every other one, and both kinds in each fold."""
    members = loaded.config.model.members
    if members.views == "same":
        return {}
    if loaded.config.model.numeric_embedding is None or isinstance(loaded.config.preprocess.encoding, NoEncoding):
        raise loaded.error(
            "model.members.views", "alternate needs model.numeric_embedding and preprocess.encoding: piecewise_linear."
        )
    bins = preprocessor.bin_inputs
    if not has_cosines or bins[0] == bins[1]:  # no column has many values: all see the same
        return {}
    n_folds = members.folds or members.count
    sees_cosines = tuple((number // n_folds + number) % 2 == 0 for number in range(members.count))
    return {"bins": bins, "sees_cosines": sees_cosines}


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


def _natural_outputs(target: Target, loss: Loss) -> int:
    if not isinstance(target, ClassTarget):
        return len(target.names)
    is_single = isinstance(loss, BinaryCrossEntropy) and len(target.labels) == 2
    return 1 if is_single else len(target.labels)


def _possible_outputs(target: Target, loss: Loss) -> tuple[object, ...]:
    if isinstance(target, ClassTarget) and len(target.labels) == 2 and not isinstance(loss, CrossEntropy):
        return ("auto", 1, 2)
    return ("auto", _natural_outputs(target, loss))
