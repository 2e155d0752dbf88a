"""Random networks of every kind of layer."""

import numpy as np
from hypothesis import strategies as st

from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.chain import Chain, Residual
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.initializers import ByFan, DataDriven
from mlpcli.nn.layers import Activation, Dense, Dropout, InputScale, LayerNorm
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Huber, Poisson, SquaredError
from mlpcli.nn.network import Network

HIDDEN = [name for name, function in ACTIVATIONS.items() if not function.is_for_outputs_only]
SMOOTH = [name for name in HIDDEN if name not in ("relu", "leaky_relu")]
# Cost functions with output activations, partners and others.
COSTS = [
    (CrossEntropy(), "softmax"),
    (SquaredError(), "identity"),
    (BinaryCrossEntropy(), "sigmoid"),
    (SquaredError(), "sigmoid"),
    (SquaredError(), "softmax"),
    (CrossEntropy(), "sigmoid"),
    (Poisson(), "exp"),
    (Huber(delta=0.7), "tanh"),
]
N_IN, N_OUT = 9, 3


@st.composite
def input_layers(draw):
    """What stands on 9 inputs: the last three may be the levels of a category."""
    layers = []
    if draw(st.booleans()):
        layers.append(InputScale())
    if draw(st.booleans()):
        layers.append(ColumnMask(spans=draw(st.sampled_from([((1, 9),), ((0, 2), (4, 9))]))))
    if draw(st.booleans()):
        columns = draw(st.sampled_from([(0, 1), (1,), (0, 2)]))
        layers.append(PeriodicEmbedding(columns=columns, frequencies=3, outputs=2, sigma=0.7))
    width = Chain(layers=tuple(layers)).n_out(N_IN)
    if draw(st.booleans()):
        layers.append(CategoryEmbedding(spans=draw(st.sampled_from([((3, 5),), ((2, 4), (4, width))])), size=2))
    if draw(st.booleans()):
        layers.append(InputScale())
    return tuple(layers)


@st.composite
def hidden_layers(draw, width, functions):
    """Layers from a width on; gives them and their own width."""
    is_normalized = draw(st.booleans())
    width = draw(st.integers(2, 6))
    start = draw(st.sampled_from([ByFan(bias_scale=0.5), DataDriven()]))
    layers = [Dense(width=width, has_bias=not is_normalized, start=start)]
    layers += [LayerNorm()] if is_normalized else []
    layers.append(Activation(function=draw(st.sampled_from(functions)), is_learnt=draw(st.booleans())))
    if draw(st.booleans()):
        layers.append(Dropout(rate=0.4, stream=draw(st.integers(0, 3))))
    if draw(st.booleans()):
        inner = Activation(function=draw(st.sampled_from(functions)), is_learnt=True)
        layers.append(Residual(layers=(Dense(width=width), inner, LayerNorm(), Residual(layers=(Dense(width=width),)))))
    return tuple(layers), width


@st.composite
def networks(draw, functions=HIDDEN, output="identity"):
    """A network of 9 inputs and 3 outputs."""
    layers = draw(input_layers())
    width = Chain(layers=layers).n_out(N_IN)
    for _ in range(draw(st.integers(0, 2))):
        block, width = draw(hidden_layers(width, functions))
        layers += block
    return Network(N_IN, (*layers, Dense(width=N_OUT)), output)


def rows(seed, n_rows=7, dtype=np.float64):
    """Inputs, targets that any cost takes, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, N_IN)).astype(dtype)
    y = (np.eye(N_OUT)[rng.integers(N_OUT, size=n_rows)] * 0.9 + 0.1 / N_OUT).astype(dtype)
    return X, y, rng.uniform(0.5, 2.0, n_rows).astype(dtype)


def start(network, seed, dtype=np.float64):
    """Parameters that are at no special place."""
    rng = np.random.default_rng(seed)
    flat = network.init(rng, dtype, rows(seed, 20, dtype)[0])
    return flat + 0.1 * rng.normal(size=flat.size).astype(dtype)
