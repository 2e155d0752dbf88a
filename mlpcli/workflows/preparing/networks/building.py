"""The network of a config and its data: sizes, members, and what stands before the layers."""

from collections.abc import Sequence

import numpy as np

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.bins import NoEncoding
from mlpcli.data.features.layout import inputs_of_columns
from mlpcli.data.features.preprocessor import Preprocessor
from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target
from mlpcli.machine import memory_of_machine
from mlpcli.messages import format_count, format_size
from mlpcli.nn.build import HiddenSpec, perceptron
from mlpcli.nn.chain import AnyLayer, Chain
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.layers import InputScale
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss
from mlpcli.nn.network import Network
from mlpcli.storage.model.model_header import MAX_LAYERS, count_layers
from mlpcli.storage.npz import MAX_ENTRIES
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.networks.member_configs import draw_number, member_configs

# Vectors as long as the parameters that a training holds: weights, the best ones, a copy, gradient, optimizer state.
VECTORS_PER_PARAMETER = 6
# Arrays of a model file that are not of its networks, at most.
SPARE_ENTRIES = 96


def build_networks(
    loaded: LoadedConfig, preprocessor: Preprocessor, target: Target, loss: Loss, output_activation: str
) -> tuple[Network, ...]:
    """The network n -> N -> ... -> M of each member; raises ConfigError where explicit sizes do not fit the data."""
    networks = [
        _build_network(member.loaded, number, preprocessor, target, loss, output_activation)
        for number, member in enumerate(member_configs(loaded))
    ]
    _check_file(loaded, networks)
    _check_memory(loaded, networks)
    return tuple(networks)


def _build_network(
    loaded: LoadedConfig, number: int, preprocessor: Preprocessor, target: Target, loss: Loss, output_activation: str
) -> Network:
    """The network of the member of this number, whose config it is."""
    model = loaded.config.model
    n_inputs, n_outputs = len(preprocessor.feature_names), _natural_outputs(target, loss)
    layers = model.layers
    fits = layers[0] in ("auto", n_inputs), layers[-1] in _possible_outputs(target, loss)
    if not fits[0]:
        raise loaded.error(
            "model.layers",
            f"the data gives {n_inputs} inputs, layers[0] says {layers[0]} ({describe_inputs(preprocessor)}). "
            f"Write {_suggested_layers(layers, *fits)}.",
        )
    if not fits[1]:
        raise loaded.error(
            "model.layers",
            f"{describe_outputs(target)} need {n_outputs} outputs, the last size is {layers[-1]}. "
            f"Write {_suggested_layers(layers, *fits)}.",
        )
    if output_activation == "softmax" and layers[-1] == 1:
        raise loaded.error("model.output_activation", "softmax over one output is always 1. Use sigmoid.")
    hidden = [int(size) for size in layers[1:-1]]
    n_out = n_outputs if layers[-1] == "auto" else int(layers[-1])
    spec = HiddenSpec(model.initializer, model.dropout, model.learn_slopes, model.layer_norm, model.residual)
    input_layers = _input_layers(loaded, number, preprocessor)
    width, activations = Chain(layers=input_layers).n_out(n_inputs), _activations(loaded, len(hidden))
    hidden_layers = perceptron(width, hidden, n_out, activations, output_activation, spec)
    return Network(n_inputs, (*input_layers, *hidden_layers), output_activation)


def _suggested_layers(layers: Sequence[object], has_inputs: bool, has_outputs: bool) -> str:
    """The layers with auto at an end that does not fit; sizes of hidden layers alone get both ends around them."""
    is_hidden_alone = len(layers) == 2 or not (has_inputs or has_outputs)
    kept = list(layers) if is_hidden_alone else list(layers)[not has_inputs : len(layers) - (not has_outputs)]
    return f"[{', '.join(map(str, [*['auto'] * (not has_inputs), *kept, *['auto'] * (not has_outputs)]))}]"


def _activations(loaded: LoadedConfig, n_hidden: int) -> tuple[str, ...]:
    """The activation of each hidden layer; raises ConfigError for a list of another length."""
    configured = loaded.config.model.activation
    if isinstance(configured, str):
        return (configured,) * n_hidden
    if len(configured) != n_hidden:
        sizes = ", ".join(map(str, loaded.config.model.layers))
        raise loaded.error(
            "model.activation",
            f"{format_count(len(configured), 'activation')} for {format_count(n_hidden, 'hidden layer')} (layers: "
            f"[{sizes}]). Write one for each, or a single name for all.",
        )
    return configured


def _input_layers(loaded: LoadedConfig, number: int, preprocessor: Preprocessor) -> tuple[AnyLayer, ...]:
    """What the config asks for on the inputs of a member, as far as the columns have any use for it."""
    model = loaded.config.model
    periodic, embedding = model.numeric_embedding, model.category_embedding
    numbers = () if periodic is None else preprocessor.number_inputs_with(periodic.min_distinct)
    wide = () if embedding is None else [b for b in preprocessor.category_blocks if b[1] - b[0] > embedding.above]
    uses_periodic, uses_bins = _feature_view(loaded, number, preprocessor, has_periodic=bool(numbers))
    mask = inputs_of_columns(preprocessor.columns, _sample_columns(loaded, number, preprocessor))
    if not uses_bins:
        mask[slice(*preprocessor.bin_inputs)] = False
    layers: list[AnyLayer] = [] if mask.all() else [ColumnMask.from_mask(mask)]
    position = np.cumsum(mask) - 1  # of each selected input among those
    columns = tuple(int(position[i]) for i in numbers if mask[i])
    if periodic is not None and columns and uses_periodic:
        layers.append(
            PeriodicEmbedding(
                columns=columns, frequencies=periodic.frequencies, outputs=periodic.outputs, sigma=periodic.sigma
            )
        )
    spans = tuple((int(position[start]), int(position[stop - 1]) + 1) for start, stop in wide if mask[start])
    if embedding is not None and spans:
        layers.append(CategoryEmbedding(spans=spans, size=embedding.size))
    layers += [InputScale()] if model.scale_inputs else []
    return tuple(layers)


def _sample_columns(loaded: LoadedConfig, number: int, preprocessor: Preprocessor) -> frozenset[str]:
    """The columns that a member sees, drawn without replacement (Ho 1998); a larger fraction adds columns to them."""
    members, names = loaded.config.model.members, [column.name for column in preprocessor.columns]
    if members.features == 1.0:
        return frozenset(names)
    rng = rng_of(loaded.config.training.seed, "features", member=draw_number(members, number))
    n_columns = max(1, round(members.features * len(names)))
    return frozenset(names[i] for i in rng.permutation(len(names))[:n_columns])


def _feature_view(
    loaded: LoadedConfig, number: int, preprocessor: Preprocessor, has_periodic: bool
) -> tuple[bool, bool]:
    """Whether a member sees cosines and bins: with alternate views every other one, and both kinds in each fold."""
    members = loaded.config.model.members
    if members.views == "same":
        return True, True
    if loaded.config.model.numeric_embedding is None or isinstance(loaded.config.preprocess.encoding, NoEncoding):
        raise loaded.error(
            "model.members.views",
            f"{members.views} needs model.numeric_embedding and preprocess.encoding: piecewise_linear.",
        )
    first, stop = preprocessor.bin_inputs
    if not has_periodic or first == stop:  # no column has many values: all see the same
        return True, True
    n_folds = members.folds or members.count
    alternates = (number // n_folds + number) % 2 == 0
    uses_periodic = {"alternate": alternates, "cosines": True, "bins": False}[members.views]
    return uses_periodic, not uses_periodic


def _check_file(loaded: LoadedConfig, networks: Sequence[Network]) -> None:
    """Refuse networks that no model file holds: before the training, and not after it."""
    if (n_layers := max(count_layers(network.layers) for network in networks)) > MAX_LAYERS:
        raise loaded.error(
            "model.layers", f"{n_layers} layers, activations and the like included; at most {MAX_LAYERS}. Use fewer."
        )
    n_arrays = sum(len(network.tensors) for network in networks)
    if n_arrays > MAX_ENTRIES - SPARE_ENTRIES:
        raise loaded.error(
            "model.members.count",
            f"the members have {n_arrays} arrays of weights, a model file holds {MAX_ENTRIES - SPARE_ENTRIES}. "
            "Use fewer members or layers.",
        )


def _check_memory(loaded: LoadedConfig, networks: Sequence[Network]) -> None:
    """Refuse networks whose weights, gradient and optimizer state cannot fit into the machine."""
    needed = (
        sum(network.n_parameters for network in networks)
        * np.dtype(loaded.config.training.dtype).itemsize
        * VECTORS_PER_PARAMETER
    )
    memory = memory_of_machine()
    if memory is not None and needed > memory:
        shape = " -> ".join(map(str, networks[0].sizes))
        raise loaded.error(
            "model.layers",
            f"{shape} takes about {format_size(needed)} of memory to train, and {format_size(memory)} is available. "
            "Use smaller layers.",
        )


def describe_inputs(preprocessor: Preprocessor) -> str:
    """What the inputs are made of: "6 columns: 4 numbers, 64 bins, island -> 3, sex -> 2, 1 missing indicator"."""
    columns = preprocessor.columns
    numbers = [column for column in columns if column.role == "number"]
    parts = [f"{len(numbers)} numbers" if len(numbers) != 1 else "1 number"] if numbers else []
    n_bins = sum(column.n_bins for column in numbers)
    parts += [f"{n_bins} bins"] if n_bins else []
    parts += [f"{column.name} -> {column.n_inputs}" for column in columns if column.role != "number"]
    flags = sum(column.role == "number" and column.flag_of == column.name for column in columns)
    if flags:
        parts.append(f"{flags} missing indicators" if flags != 1 else "1 missing indicator")
    shown = parts if len(parts) <= 8 else [*parts[:7], f"{len(parts) - 7} more"]
    return f"{len(columns)} columns: {', '.join(shown)}"


def describe_outputs(target: Target) -> str:
    """What the outputs stand for: "3 classes", "2 targets"."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    many = f"{len(target.fitted)} quantiles of " if isinstance(target, NumberTarget) and target.fitted else ""
    return f"{many}{len(target.names)} {'target' if len(target.names) == 1 else 'targets'}"


def _natural_outputs(target: Target, loss: Loss) -> int:
    if not isinstance(target, ClassTarget):
        return target.n_outputs if isinstance(target, NumberTarget) else len(target.names)
    is_single = isinstance(loss, BinaryCrossEntropy) and len(target.labels) == 2
    return 1 if is_single else len(target.labels)


def _possible_outputs(target: Target, loss: Loss) -> tuple[object, ...]:
    if isinstance(target, ClassTarget) and len(target.labels) == 2 and not isinstance(loss, CrossEntropy):
        return ("auto", 1, 2)
    return ("auto", _natural_outputs(target, loss))
