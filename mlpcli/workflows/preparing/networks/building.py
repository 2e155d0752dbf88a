"""Build the networks of the members from the config and the data: sizes, input layers, and checks of both."""

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

# Vectors of the size of all parameters during training: weights, best weights, a copy, gradient, optimizer state.
VECTORS_PER_PARAMETER = 6
# Upper bound on the arrays of a model file that are not weights.
SPARE_ENTRIES = 96


def build_networks(
    loaded: LoadedConfig, preprocessor: Preprocessor, target: Target, loss: Loss, output_activation: str
) -> tuple[Network, ...]:
    """Build the network n -> N -> ... -> M of each member; raises ConfigError if explicit sizes do not fit the data."""
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
    """Build the network of member `number`, from 0; `loaded` is the config of this member."""
    model = loaded.config.model
    n_inputs, n_outputs = len(preprocessor.feature_names), _default_n_outputs(target, loss)
    layers = model.layers
    fits_inputs, fits_outputs = layers[0] in ("auto", n_inputs), layers[-1] in _allowed_output_sizes(target, loss)
    if not fits_inputs:
        raise loaded.error(
            "model.layers",
            f"the data gives {n_inputs} inputs, layers[0] says {layers[0]} ({describe_inputs(preprocessor)}). "
            f"Write {_suggested_layers(layers, fits_inputs, fits_outputs)}.",
        )
    if not fits_outputs:
        raise loaded.error(
            "model.layers",
            f"{describe_outputs(target)} need {n_outputs} outputs, the last size is {layers[-1]}. "
            f"Write {_suggested_layers(layers, fits_inputs, fits_outputs)}.",
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


def _suggested_layers(layers: Sequence[object], fits_inputs: bool, fits_outputs: bool) -> str:
    """The layers with auto for an end that does not fit, or with auto added if they are sizes of hidden layers only."""
    is_hidden_only = len(layers) == 2 or not (fits_inputs or fits_outputs)
    kept = list(layers) if is_hidden_only else list(layers)[not fits_inputs : len(layers) - (not fits_outputs)]
    return f"[{', '.join(map(str, [*['auto'] * (not fits_inputs), *kept, *['auto'] * (not fits_outputs)]))}]"


def _activations(loaded: LoadedConfig, n_hidden: int) -> tuple[str, ...]:
    """The activation of each hidden layer; raises ConfigError if a list has the wrong length."""
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
    """The input layers of a member: column mask, embeddings and scale, as configured and if any column uses them."""
    model = loaded.config.model
    periodic, embedding = model.numeric_embedding, model.category_embedding
    numbers = () if periodic is None else preprocessor.number_inputs_with(periodic.min_distinct)
    blocks = preprocessor.category_blocks
    wide = () if embedding is None else [(start, stop) for start, stop in blocks if stop - start > embedding.above]
    uses_periodic, uses_bins = _feature_view(loaded, number, preprocessor, has_periodic=bool(numbers))
    mask = inputs_of_columns(preprocessor.columns, _sample_columns(loaded, number, preprocessor))
    if not uses_bins:
        mask[slice(*preprocessor.bin_inputs)] = False
    layers: list[AnyLayer] = [] if mask.all() else [ColumnMask.from_mask(mask)]
    position = np.cumsum(mask) - 1  # of each selected input among the selected ones
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
    """Sample the columns of a member without replacement (Ho 1998); a larger fraction only adds columns."""
    members, names = loaded.config.model.members, [column.name for column in preprocessor.columns]
    if members.features == 1.0:
        return frozenset(names)
    rng = rng_of(loaded.config.training.seed, "features", member=draw_number(members, number))
    n_columns = max(1, round(members.features * len(names)))
    return frozenset(names[i] for i in rng.permutation(len(names))[:n_columns])


def _feature_view(
    loaded: LoadedConfig, number: int, preprocessor: Preprocessor, has_periodic: bool
) -> tuple[bool, bool]:
    """Whether a member sees cosines, and whether bins; alternate views take turns by member, also within each fold."""
    members = loaded.config.model.members
    if members.views == "same":
        return True, True
    if loaded.config.model.numeric_embedding is None or isinstance(loaded.config.preprocess.encoding, NoEncoding):
        raise loaded.error(
            "model.members.views",
            f"{members.views} needs model.numeric_embedding and preprocess.encoding: piecewise_linear.",
        )
    first, stop = preprocessor.bin_inputs
    if not has_periodic or first == stop:  # no column has many values: all members see the same inputs
        return True, True
    n_folds = members.folds or members.count
    alternates = (number // n_folds + number) % 2 == 0
    uses_periodic = {"alternate": alternates, "cosines": True, "bins": False}[members.views]
    return uses_periodic, not uses_periodic


def _check_file(loaded: LoadedConfig, networks: Sequence[Network]) -> None:
    """Raise ConfigError before training if a model file cannot store the networks."""
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
    """Raise ConfigError if weights, gradients and optimizer state exceed the memory of the machine."""
    n_bytes = (
        sum(network.n_parameters for network in networks)
        * np.dtype(loaded.config.training.dtype).itemsize
        * VECTORS_PER_PARAMETER
    )
    memory = memory_of_machine()
    if memory is not None and n_bytes > memory:
        shape = " -> ".join(map(str, networks[0].sizes))
        raise loaded.error(
            "model.layers",
            f"{shape} takes about {format_size(n_bytes)} of memory to train, and {format_size(memory)} is available. "
            "Use smaller layers.",
        )


def describe_inputs(preprocessor: Preprocessor) -> str:
    """The kinds of inputs: "6 columns: 4 numbers, 64 bins, island -> 3, sex -> 2, 1 missing indicator"."""
    columns = preprocessor.columns
    numbers = [column for column in columns if column.role == "number"]
    items = [f"{len(numbers)} numbers" if len(numbers) != 1 else "1 number"] if numbers else []
    n_bins = sum(column.n_bins for column in numbers)
    items += [f"{n_bins} bins"] if n_bins else []
    items += [f"{column.name} -> {column.n_inputs}" for column in columns if column.role != "number"]
    n_indicators = sum(column.role == "number" and column.flag_of == column.name for column in columns)
    if n_indicators:
        items.append(f"{n_indicators} missing indicators" if n_indicators != 1 else "1 missing indicator")
    shown = items if len(items) <= 8 else [*items[:7], f"{len(items) - 7} more"]
    return f"{len(columns)} columns: {', '.join(shown)}"


def describe_outputs(target: Target) -> str:
    """The number and kind of what the outputs predict: "3 classes", "2 targets"."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    prefix = f"{len(target.fitted)} quantiles of " if isinstance(target, NumberTarget) and target.fitted else ""
    return f"{prefix}{len(target.names)} {'target' if len(target.names) == 1 else 'targets'}"


def _default_n_outputs(target: Target, loss: Loss) -> int:
    """The size of the last layer if it is auto."""
    if not isinstance(target, ClassTarget):
        return target.n_outputs if isinstance(target, NumberTarget) else len(target.names)
    is_single = isinstance(loss, BinaryCrossEntropy) and len(target.labels) == 2
    return 1 if is_single else len(target.labels)


def _allowed_output_sizes(target: Target, loss: Loss) -> tuple[object, ...]:
    """The allowed values of the last entry of `model.layers`."""
    if isinstance(target, ClassTarget) and len(target.labels) == 2 and not isinstance(loss, CrossEntropy):
        return ("auto", 1, 2)
    return ("auto", _default_n_outputs(target, loss))
