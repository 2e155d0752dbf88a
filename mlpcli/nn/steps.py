"""An optimizer step on the flat vector: clipping, weight decay, update rule, learning-rate multipliers, averaging."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.averaging import Averaging, update_average
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import Optimizer
from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
State = dict[str, NDArray[Any]]

# Parameters per chunk: five arrays of this length fit into the L2 cache, which makes Adam on two million parameters a
# third faster than operations on whole vectors.
CHUNK = 32_768
# Exponential decay ends in denormal numbers, with which arithmetic is many times slower; flushing them to zero every
# so many steps costs less than one slow step.
FLUSH_EVERY = 16


@options
class Multipliers:
    """Learning-rate multipliers by parameter group."""

    weights: Annotated[float, Setting("Of the weights.", ge=0)] = 1.0
    biases: Annotated[float, Setting("Of the biases, also those of layer normalization.", ge=0)] = 1.0
    scale: Annotated[float, Setting("Of the input factors (scale_inputs).", ge=0)] = 1.0
    slopes: Annotated[float, Setting("Of the parametric activations (learn_slopes).", ge=0)] = 1.0
    norm: Annotated[float, Setting("Of the gains of layer normalization.", ge=0)] = 1.0
    periodic: Annotated[float, Setting("Of the periodic embeddings.", ge=0)] = 1.0
    embedding: Annotated[float, Setting("Of the category embeddings.", ge=0)] = 1.0


UNIT_MULTIPLIERS = Multipliers()


@dataclass(frozen=True)
class UpdateSpec:
    """The optimizer, and how its updates are transformed: multipliers, NTK parametrization, clipping, averaging."""

    optimizer: Optimizer
    multipliers: Multipliers = UNIT_MULTIPLIERS
    is_ntk: bool = False
    gradient_clip: float | None = None
    averaging: Averaging | None = None


class StepValues(NamedTuple):
    """Scalars that change from step to step; those of an epoch are the rows of an array (n_steps, 6).

    `decay_factor` multiplies weight decay, `dropout_factor` the dropout rates, `direction_scale` the direction (bias
    correction). `average_weight` is the weight of the new parameters in their average.
    """

    learning_rate: float
    decay_factor: float
    average_weight: float
    direction_scale: float
    epsilon: float
    dropout_factor: float


@dataclass(frozen=True)
class ParameterGroup:
    """A range of the flat vector with the same hyperparameters.

    `rate_factor` and `epsilon_factor` multiply learning rate and epsilon of the optimizer. `l2_penalty` is weight decay
    that is added to the gradient (coupled), `weight_decay` shrinks the parameters directly (decoupled). `norm_weight`
    weights the squared gradient in the global norm. `matrix_shape` is that of weights with a `matrix_direction`.
    """

    start: int
    stop: int
    rate_factor: float
    epsilon_factor: float
    l2_penalty: float
    weight_decay: float
    norm_weight: float
    matrix_shape: tuple[int, int] | None = None

    @property
    def factors(self) -> tuple[float, ...]:
        """The five numbers that the update needs, in the order of the fields."""
        return self.rate_factor, self.epsilon_factor, self.l2_penalty, self.weight_decay, self.norm_weight


def parameter_groups(network: Network, spec: UpdateSpec) -> tuple[ParameterGroup, ...]:
    """The parameter groups in the order of the flat vector; weight decay applies to weights only.

    The NTK parametrization trains v, w = v / sqrt(fan_in): the gradient of v, which is clipped, is that of w divided by
    sqrt(fan_in).
    """
    optimizer, groups = spec.optimizer, list[ParameterGroup]()
    last = [item.key for item in network.tensors if item.tensor.group == "weights"][-1]
    for item in network.tensors:
        tensor, is_weights = item.tensor, item.tensor.group == "weights"
        multiplier: float = getattr(spec.multipliers, tensor.group)
        rate, epsilon, l2_penalty, weight_decay, norm_weight = multiplier, 1.0, 0.0, 0.0, 1.0
        if is_weights:
            ntk_rate, epsilon, ntk_decay = optimizer.ntk_factors(tensor.fan_in) if spec.is_ntk else (1.0, 1.0, 1.0)
            rate *= ntk_rate
            norm_weight = 1.0 / tensor.fan_in if spec.is_ntk else 1.0
            if optimizer.is_decoupled:
                weight_decay = optimizer.weight_decay * multiplier
            else:
                l2_penalty = optimizer.weight_decay * ntk_decay
        matrix_shape: tuple[int, int] | None = None
        if optimizer.non_matrix_factor is not None:
            if is_weights and item.key != last:
                n_out, n_in = matrix_shape = (tensor.shape[0], tensor.shape[1])
                rate *= sqrt(max(1.0, n_out / n_in))  # the elements of a tall orthogonal matrix are smaller
            else:
                rate, weight_decay = rate * optimizer.non_matrix_factor, weight_decay * optimizer.non_matrix_factor
        factors = (rate, epsilon, l2_penalty, weight_decay, norm_weight)
        start = item.span.start
        if groups and groups[-1].factors == factors and matrix_shape is None and groups[-1].matrix_shape is None:
            start = groups.pop().start
        groups.append(ParameterGroup(start, item.span.stop, *factors, matrix_shape))
    return tuple(groups)


def init_state(spec: UpdateSpec, flat: Array) -> State:
    """The optimizer state before the first step: its arrays of zeros, and `average` if weights are averaged."""
    state: State = {name: np.zeros_like(flat) for name in spec.optimizer.state_names}
    return state if spec.averaging is None else state | {"average": flat.copy()}


def make_step(
    network: Network, spec: UpdateSpec, flat: Array, gradient: Array, state: Mapping[str, NDArray[Any]]
) -> Callable[[int, StepValues], None]:
    """Return `step(count, values)`, which updates `flat` and `state` in place from `gradient`, which it overwrites.

    `count` is the number of the step, from 1.
    """
    optimizer, groups = spec.optimizer, parameter_groups(network, spec)
    lengths = [group.stop - group.start if group.matrix_shape else CHUNK for group in groups]
    scratch, average, chunks = np.empty(min(max(lengths), flat.size), flat.dtype), state.get("average"), []
    for group, length in zip(groups, lengths, strict=True):
        for start in range(group.start, group.stop, length):
            span = slice(start, min(start + length, group.stop))
            arrays = tuple(state[name][span] for name in optimizer.state_names)
            averaged = None if average is None else average[span]
            chunks.append((group, flat[span], gradient[span], arrays, averaged, scratch[: span.stop - span.start]))
    smallest_normal = np.finfo(flat.dtype).tiny

    def step(count: int, values: StepValues) -> None:
        if spec.gradient_clip is not None:
            clip_gradient_norm(gradient, spec.gradient_clip, groups)
        for group, w, g, arrays, averaged, temporary in chunks:
            if group.l2_penalty:
                np.multiply(w, group.l2_penalty * values.decay_factor, out=temporary)
                g += temporary
            elif group.weight_decay:
                w *= 1.0 - values.learning_rate * group.weight_decay * values.decay_factor
            if group.matrix_shape:
                G, momentum = g.reshape(group.matrix_shape), arrays[0].reshape(group.matrix_shape)
                direction, scale = optimizer.matrix_direction(G, momentum, group.epsilon_factor).reshape(-1), 1.0
            else:
                direction = optimizer.direction(g, arrays, group.epsilon_factor * values.epsilon, temporary)
                scale = values.direction_scale
            w -= np.multiply(direction, values.learning_rate * group.rate_factor * scale, out=temporary)
            if averaged is not None:
                update_average(averaged, w, values.average_weight, temporary)
            if count % FLUSH_EVERY == 0:
                for array in arrays:
                    np.abs(array, out=temporary)
                    array *= np.greater_equal(temporary, smallest_normal, out=temporary)

    return step


def clip_gradient_norm(gradient: Array, max_norm: float, groups: Iterable[ParameterGroup]) -> None:
    """Scale the gradient in place to norm `max_norm` if its norm is larger (Pascanu et al. 2013).

    Squares are summed in float64, in which those of float32 do not overflow; an infinite norm makes the gradient NaN.
    """
    total = 0.0
    for group in groups:
        for start in range(group.start, group.stop, CHUNK):
            chunk = gradient[start : min(start + CHUNK, group.stop)].astype(np.float64, copy=False)
            total += group.norm_weight * float(np.dot(chunk, chunk))
    if (norm := sqrt(total)) > max_norm:
        gradient *= max_norm / norm if isfinite(norm) else nan
