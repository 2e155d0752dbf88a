"""Networks of all layers: gradients by central differences, shapes, predictions, names, merging."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.nn.chain import Chain, Residual
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.layers import GROUPS, Activation, Allocator, Dense, Dropout, InputScale, LayerNorm, Noise, Softmax
from mlpcli.nn.losses import CrossEntropy, SquaredError
from mlpcli.nn.merge import MERGES, merge_linear, merged, scale_logits
from mlpcli.nn.network import MAX_BATCH_ROWS, LossAndGradient, Network, predict
from tests.nn.staging import COSTS, HIDDEN, N_IN, SMOOTH, input_layers, networks, rows, start

thorough = settings(max_examples=60)
# One of each kind, which stands alone on 9 inputs.
ALONE = {
    "dense": Dense(width=4),
    "dense of one neuron": Dense(width=1),
    "dense without bias": Dense(width=4, has_bias=False),
    "activation": Activation(function="mish"),
    "learnt activation": Activation(function="selu", is_learnt=True),
    "softmax": Softmax(),
    "layer norm": LayerNorm(),
    "dropout": Dropout(rate=0.3),
    "input scale": InputScale(),
    "column mask": ColumnMask(spans=((2, 5),)),
    "column mask of several spans": ColumnMask(spans=((0, 1), (2, 5), (8, 9))),
    "periodic embedding": PeriodicEmbedding(columns=(1, 2, 5), frequencies=3, outputs=2, sigma=0.7),
    "category embedding": CategoryEmbedding(spans=((0, 2), (3, 6)), size=2),
    "residual": Residual(layers=(Dense(width=9), Activation(function="tanh"))),
}


def differences(cost, flat, places):
    """Central differences of a cost in some places of the flat vector, which it reads."""
    found = []
    for place in places:
        kept, values = flat[place], []
        for sign in (1, -1):
            flat[place] = kept + sign * 1e-6
            values.append(cost())
        flat[place] = kept
        found.append((values[0] - values[1]) / 2e-6)
    return np.array(found)


@thorough
@given(st.data(), st.sampled_from(COSTS), st.integers(0, 1000))
def test_gradients_of_random_networks_are_those_of_the_cost(data, cost, seed):
    loss, output = cost
    network = data.draw(networks(SMOOTH, output))
    flat, (X, y, weights) = start(network, seed), rows(seed)
    gradient, noise = np.empty_like(flat), Noise(seed * 7919, 0.9)
    LossAndGradient(network, loss, flat, gradient)(X, y, weights, noise)
    other = LossAndGradient(network, loss, flat, np.empty_like(flat))
    places = np.random.default_rng(seed).permutation(flat.size)[:40]
    expected = differences(lambda: other(X, y, weights, noise), flat, places)
    np.testing.assert_allclose(gradient[places], expected, rtol=1e-4, atol=1e-6 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_alone_gives_the_gradient_of_its_parameters_and_of_its_input(name):
    layer, rng = ALONE[name], np.random.default_rng(0)
    network = Network(N_IN, (layer,))
    flat, x = start(network, 1), rng.normal(size=(5, N_IN))
    params, gradient = network.unflatten(flat), np.empty_like(flat)
    direction = rng.normal(size=(5, layer.n_out(N_IN)))
    buffers = layer.buffers(N_IN, Allocator(5, np.dtype(np.float64), is_training=True), needs_dx=True)
    noise = Noise(99)

    def value():
        return float((layer.forward(x, params[0], buffers, noise) * direction).sum())

    value()
    dx = layer.backward(direction.copy(order="F"), params[0], network.unflatten(gradient)[0], buffers)
    np.testing.assert_allclose(gradient, differences(value, flat, range(flat.size)), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dx.ravel(), differences(value, x.reshape(-1), range(x.size)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_says_its_shapes_and_never_writes_its_input(name):
    layer, x = ALONE[name], np.random.default_rng(0).normal(size=(5, N_IN))
    before, network = x.copy(), Network(N_IN, (layer,))
    flat = start(network, 1)
    for placed in network.tensors:
        assert placed.tensor.group in GROUPS
        assert network.named_views(flat)[placed.name].shape == placed.tensor.shape
    y = network.chain.forward(x, network.unflatten(flat), network.buffers(5, np.float64, is_training=False))
    assert y.shape == (5, layer.n_out(N_IN)) == (5, network.n_out)
    np.testing.assert_array_equal(x, before)


@given(st.data(), st.integers(0, 1000))
def test_predicting_is_going_forward_without_noise_whatever_rows_stand_beside(data, seed):
    network = data.draw(networks(HIDDEN, "softmax"))
    flat, X = start(network, seed, np.float32), rows(seed, 30, np.float32)[0]
    outputs = predict(network, flat, X)
    np.testing.assert_allclose(outputs.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(predict(network, flat, X[3:8]), outputs[3:8])
    z = network.chain.forward(X, network.unflatten(flat), network.buffers(30, np.float32, is_training=True))
    np.testing.assert_allclose(network.outputs(z), outputs, rtol=1e-4, atol=1e-6)


def test_predictions_of_many_blocks_are_those_of_each():
    network = Network(N_IN, (Dense(width=40), Activation(function="relu"), Dense(width=2)), "softmax")
    flat, X = start(network, 0, np.float32), rows(0, 2 * MAX_BATCH_ROWS + 5, np.float32)[0]
    whole = predict(network, flat, X)
    for row in (0, MAX_BATCH_ROWS - 1, MAX_BATCH_ROWS, len(X) - 1):
        np.testing.assert_array_equal(predict(network, flat, X[row : row + 1])[0], whole[row])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [3, 90, 100, 131, 1000, 3000])
def test_the_outputs_of_a_row_have_the_same_bits_wherever_it_stands(width, dtype):
    # A block of 1310 rows, of which the last 14 go another way through BLAS, is what 100 neurons would lead to.
    network = Network(N_IN, (Dense(width=width), Activation(function="tanh"), Dense(width=3)), "softmax")
    flat, x = start(network, 0, dtype), rows(0, 1, dtype)[0]
    expected = predict(network, flat, x)
    for n_rows in (2, 63, 64, 65, 2 * MAX_BATCH_ROWS + 5):
        outputs = predict(network, flat, np.repeat(x, n_rows, axis=0))
        np.testing.assert_array_equal(outputs, np.repeat(expected, n_rows, axis=0))


def test_tensors_have_the_names_of_the_formula_and_lie_by_group():
    inner = (Dense(width=4, has_bias=False), LayerNorm(), Activation(function="relu", is_learnt=True))
    network = Network(4, (InputScale(), Dense(width=4), Residual(layers=inner), Dense(width=2)))
    assert [placed.name for placed in network.tensors] == [
        "W1",
        "W2",
        "W3",
        "b1",
        "shift1",
        "b3",
        "scale1",
        "slope1",
        "gain1",
    ]
    stops = [placed.span.stop for placed in network.tensors]
    assert [placed.span.start for placed in network.tensors] == [0, *stops[:-1]]
    assert network.n_parameters == stops[-1] == 16 + 16 + 8 + 4 + 4 + 2 + 4 + 4 + 4


def test_a_residual_connection_needs_one_width():
    network = Network(4, (Residual(layers=(Dense(width=5),)), Dense(width=1)))
    with pytest.raises(ValueError, match="from 4 to 5"):
        network.buffers(3, np.float32, is_training=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ColumnMask(spans=()), lambda: ColumnMask(spans=((3, 3),)), lambda: ColumnMask(spans=((2, 4), (3, 6))),
        lambda: PeriodicEmbedding(columns=()), lambda: PeriodicEmbedding(columns=(2, 1)),
        lambda: CategoryEmbedding(spans=((4, 2),), size=1), lambda: Activation(function="softmax"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError):  # noqa: PT011
        make()


def test_dropout_keeps_the_mean_and_the_rate_and_draws_anew_for_each_key():
    layer = Dropout(rate=0.3, stream=2)
    buffers = layer.buffers(50, Allocator(2000, np.dtype(np.float64), is_training=True), needs_dx=True)
    x = np.ones((2000, 50))
    first = layer.forward(x, {}, buffers, Noise(1)).copy()
    assert (first == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert first.mean() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose((first == 0).mean(axis=0), 0.3, atol=0.06)
    np.testing.assert_allclose((first == 0).mean(axis=1), 0.3, atol=0.35)
    assert 0.4 < (layer.forward(x, {}, buffers, Noise(2)) == first).mean() < 0.75
    other = Dropout(rate=0.3, stream=3)
    others = other.buffers(50, Allocator(2000, np.dtype(np.float64), is_training=True), needs_dx=True)
    assert 0.4 < (other.forward(x, {}, others, Noise(1)) == first).mean() < 0.75
    np.testing.assert_array_equal(layer.forward(x, {}, buffers, Noise(1, 0.0)), x)
    assert (layer.forward(x, {}, buffers, Noise(1, 0.5)) == 0).mean() == pytest.approx(0.15, abs=0.005)


def test_a_row_of_a_batch_has_the_same_noise_whatever_the_size_of_the_batch():
    layer, x = Dropout(rate=0.5), np.ones((64, 8))
    whole = layer.forward(x, {}, layer.buffers(8, Allocator(64, np.dtype("f8"), True), True), Noise(5)).copy()
    short = layer.forward(x[:9], {}, layer.buffers(8, Allocator(9, np.dtype("f8"), True), True), Noise(5))
    np.testing.assert_array_equal(short, whole[:9])


@given(st.data(), input_layers(), st.integers(0, 1000))
def test_merging_linear_layers_keeps_the_function(data, layers, seed):
    width = Chain(layers=layers).n_out(N_IN)
    assert width > 0
    network = Network(N_IN, (*layers, Dense(width=5), Activation(function="tanh"), Dense(width=3)), "softmax")
    flat, X = start(network, seed), rows(seed, 20)[0]
    result, own = merge_linear(network, flat)
    np.testing.assert_allclose(predict(result, own, X), predict(network, flat, X), rtol=1e-9, atol=1e-12)
    below = [layer.name for layer in result.layers[:-3]]
    assert below[-1:] in ([], ["column_mask"], ["periodic"], ["category"])


@pytest.mark.parametrize(("levels", "is_merged"), [(3, True), (40, False)])
def test_an_embedding_is_merged_where_that_takes_no_more_parameters(levels, is_merged):
    """Of many levels the table and the weights above it are fewer numbers than weights of all levels."""
    layers = (InputScale(), CategoryEmbedding(spans=((2, 2 + levels),), size=2), InputScale(), Dense(width=5))
    network = Network(2 + levels, layers)
    flat = network.init(np.random.default_rng(0), np.float64)
    flat += np.random.default_rng(1).normal(size=flat.size)
    X = np.random.default_rng(2).normal(size=(20, network.n_in))
    result, own = merge_linear(network, flat)
    names = ["dense"] if is_merged else ["input_scale", "category", "dense"]
    assert [layer.name for layer in result.layers] == names
    assert result.n_parameters <= network.n_parameters
    assert merged(network) == result
    np.testing.assert_allclose(predict(result, own, X), predict(network, flat, X), rtol=1e-9, atol=1e-12)


def test_a_column_mask_is_not_merged_so_that_columns_left_out_have_no_weights():
    mask = ColumnMask(spans=((0, 2), (5, 9)))
    network = Network(9, (mask, CategoryEmbedding(spans=((2, 5),), size=2), InputScale(), Dense(width=5)))
    flat = network.init(np.random.default_rng(0), np.float64)
    X = np.random.default_rng(2).normal(size=(20, 9))
    result, own = merge_linear(network, flat)
    assert result.layers == (mask, Dense(width=5))
    np.testing.assert_allclose(predict(result, own, X), predict(network, flat, X), rtol=1e-9, atol=1e-12)


def test_merging_takes_no_more_memory_than_the_weights_do():
    """A matrix of all inputs by all inputs would be 400 times the weights."""
    n_in = 2000
    layers = (InputScale(), ColumnMask(spans=((0, 10), (20, n_in))), CategoryEmbedding(spans=((5, 9),), size=2))
    network = Network(n_in, (*layers, Dense(width=5)))
    flat = network.init(np.random.default_rng(0), np.float32)
    tracemalloc.start()
    merge_linear(network, flat)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * 5 * n_in


@pytest.mark.parametrize("kind", MERGES)
def test_a_layer_that_derives_from_a_linear_one_is_left_alone(kind):
    more = {CategoryEmbedding: {"spans": ((0, 9),), "size": 9}}.get(kind, {})
    other = type("Other", (kind,), {})(**more)
    assert len(merged(Network(N_IN, (kind(**more), Dense(width=3)))).layers) == 1
    assert len(merged(Network(N_IN, (other, Dense(width=3)))).layers) == 2


def test_scaled_logits_are_a_temperature():
    network = Network(N_IN, (Dense(width=4), Activation(function="relu"), Dense(width=3)), "softmax")
    flat, X = start(network, 0), rows(0)[0]
    before = np.log(predict(network, flat, X)) / 2.5
    scale_logits(network, flat, 1 / 2.5)
    expected = np.exp(before) / np.exp(before).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict(network, flat, X), expected, rtol=1e-10)


def test_a_step_allocates_next_to_nothing():
    network = Network(
        64, (Dense(width=256), LayerNorm(), Activation(function="gelu"), Dropout(rate=0.2), Dense(width=4)), "softmax"
    )
    flat = network.init(np.random.default_rng(0))
    X = np.random.default_rng(1).normal(size=(256, 64)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[np.arange(256) % 4]
    cost = LossAndGradient(network, CrossEntropy(), flat, np.empty_like(flat))
    cost(X, y, None, Noise(1))
    tracemalloc.start()
    cost(X, y, None, Noise(2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 256 * 256 * 4 / 2


def test_the_loss_of_a_row_that_is_far_off_does_not_saturate():
    network = Network(1, (Dense(width=2),), "softmax")
    flat = np.array([200.0, 0.0, 0.0, 0.0])
    X, y = np.ones((1, 1)), np.array([[0.0, 1.0]])
    assert LossAndGradient(network, CrossEntropy(), flat, np.empty_like(flat))(X, y) == pytest.approx(200.0)


def test_weights_of_rows_are_repeated_rows():
    network = Network(N_IN, (Dense(width=4), Activation(function="tanh"), Dense(width=3)))
    flat, (X, y, _) = start(network, 3), rows(3, 4)
    by_weight, repeated = np.empty_like(flat), np.empty_like(flat)
    counts = np.array([1.0, 3.0, 2.0, 2.0])
    one = LossAndGradient(network, SquaredError(), flat, by_weight)(X, y, counts / counts.mean())
    many = counts.astype(int)
    other = LossAndGradient(network, SquaredError(), flat, repeated)(np.repeat(X, many, 0), np.repeat(y, many, 0))
    assert one == pytest.approx(other)
    np.testing.assert_allclose(by_weight, repeated, rtol=1e-10, atol=1e-12)
