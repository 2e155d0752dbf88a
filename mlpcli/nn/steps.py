"""One step of an optimizer on the flat vector: clipping, weight decay, rule, multipliers by group, average."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.averaging import Averaging, blend
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import Optimizer
from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
State = dict[str, NDArray[Any]]

# Parameters that are stepped at once: five arrays of so many stay in the second-level cache, which makes Adam on two
# million parameters a third faster than operations on whole vectors.
CHUNK = 32_768
# What decays by a constant factor ends in denormal numbers, which are many times slower. Setting them to zero this
# often is cheaper than one slow step.
FLUSH_EVERY = 16


@options
class Multipliers:
    """Factors of the learning rate by parameter group."""

    weights: Annotated[float, Setting("Of the weights.", ge=0)] = 1.0
    biases: Annotated[float, Setting("Of the biases, also those of layer normalization.", ge=0)] = 1.0
    scale: Annotated[float, Setting("Of the input factors (scale_inputs).", ge=0)] = 1.0
    slopes: Annotated[float, Setting("Of the parametric activations (learn_slopes).", ge=0)] = 1.0
    norm: Annotated[float, Setting("Of the gains of layer normalization.", ge=0)] = 1.0
    periodic: Annotated[float, Setting("Of the periodic embeddings.", ge=0)] = 1.0
    embedding: Annotated[float, Setting("Of the category embeddings.", ge=0)] = 1.0


ALIKE = Multipliers()


@dataclass(frozen=True)
class UpdateSpec:
    """How parameters move: the optimizer and what stands around it."""

    optimizer: Optimizer
    multipliers: Multipliers = ALIKE
    is_ntk: bool = False
    gradient_clip: float | None = None
    averaging: Averaging | None = None


class StepValues(NamedTuple):
    """What changes from step to step; the steps of an epoch are the rows of an array (n_steps, 6).

    `decay` multiplies weight decay, `dropout` every rate of it, `scale` the direction; `average_weight` is that of the
    parameters in their average, `epsilon` the optimizer's.
    """

    learning_rate: float
    decay: float
    average_weight: float
    scale: float
    epsilon: float
    dropout: float


@dataclass(frozen=True)
class ParameterGroup:
    """Neighbours in the flat vector that are stepped alike.

    `rate` and `epsilon` multiply those of the optimizer. `coupled` times each parameter is added to its gradient;
    learning rate times `decoupled` is what it shrinks by. Its squared gradient counts `square_weight` times in the norm
    of the whole gradient. `matrix` is the shape of a weight matrix that is stepped as a whole, None for the rest.
    """

    start: int
    stop: int
    rate: float
    epsilon: float
    coupled: float
    decoupled: float
    square_weight: float
    matrix: tuple[int, int] | None = None

    @property
    def factors(self) -> tuple[float, ...]:
        """All but its place and shape."""
        return self.rate, self.epsilon, self.coupled, self.decoupled, self.square_weight


def parameter_groups(network: Network, spec: UpdateSpec) -> tuple[ParameterGroup, ...]:
    """The flat vector in groups, in order; only weights decay.

    NTK trains v, w = v / sqrt(fan_in); the gradient of v is that of w over sqrt(fan_in), and so is what is clipped.
    """
    optimizer, found = spec.optimizer, list[ParameterGroup]()
    last = [placed.key for placed in network.tensors if placed.tensor.group == "weights"][-1]
    for placed in network.tensors:
        multiplier: float = getattr(spec.multipliers, placed.tensor.group)
        rate, epsilon, coupled, decoupled, square_weight = multiplier, 1.0, 0.0, 0.0, 1.0
        if placed.tensor.group == "weights":
            slower, epsilon, stronger = optimizer.ntk(placed.tensor.fan_in) if spec.is_ntk else (1.0, 1.0, 1.0)
            rate *= slower
            square_weight = 1.0 / placed.tensor.fan_in if spec.is_ntk else 1.0
            if optimizer.is_decoupled:
                decoupled = optimizer.weight_decay * multiplier
            else:
                coupled = optimizer.weight_decay * stronger
        matrix: tuple[int, int] | None = None
        if optimizer.other_factor is not None:
            if placed.tensor.group == "weights" and placed.key != last:
                n_out, n_in = placed.tensor.shape
                matrix = (n_out, n_in)
                rate *= sqrt(max(1.0, n_out / n_in))  # an orthogonal matrix that is tall is smaller, number for number
            else:
                rate, decoupled = rate * optimizer.other_factor, decoupled * optimizer.other_factor
        factors = (rate, epsilon, coupled, decoupled, square_weight)
        start = placed.place.start
        if found and found[-1].factors == factors and matrix is None and found[-1].matrix is None:
            start = found.pop().start
        found.append(ParameterGroup(start, placed.place.stop, *factors, matrix))
    return tuple(found)


def init_state(spec: UpdateSpec, flat: Array) -> State:
    """What a training carries from step to step: the optimizer's arrays, and the average if there is one."""
    state: State = {name: np.zeros_like(flat) for name in spec.optimizer.state_names}
    return state if spec.averaging is None else state | {"average": flat.copy()}


def make_step(
    network: Network, spec: UpdateSpec, flat: Array, gradient: Array, state: Mapping[str, NDArray[Any]]
) -> Callable[[int, StepValues], None]:
    """A function that moves `flat` and `state` in place by what is in `gradient`, which it uses up.

    Its arguments are the number of the step, from 1, and its values.
    """
    optimizer, groups = spec.optimizer, parameter_groups(network, spec)
    lengths = [group.stop - group.start if group.matrix else CHUNK for group in groups]
    spare, average, chunks = np.empty(min(max(lengths), flat.size), flat.dtype), state.get("average"), []
    for group, length in zip(groups, lengths, strict=True):
        for start in range(group.start, group.stop, length):
            own = slice(start, min(start + length, group.stop))
            arrays = tuple(state[name][own] for name in optimizer.state_names)
            averaged = None if average is None else average[own]
            chunks.append((group, flat[own], gradient[own], arrays, averaged, spare[: own.stop - own.start]))
    smallest = np.finfo(flat.dtype).tiny

    def step(count: int, values: StepValues) -> None:
        if spec.gradient_clip is not None:
            clip(gradient, spec.gradient_clip, groups)
        for group, w, g, arrays, averaged, free in chunks:
            if group.coupled:
                np.multiply(w, group.coupled * values.decay, out=free)
                g += free
            elif group.decoupled:
                w *= 1.0 - values.learning_rate * group.decoupled * values.decay
            if group.matrix:
                gradient_of, momentum = g.reshape(group.matrix), arrays[0].reshape(group.matrix)
                direction = optimizer.matrix_direction(gradient_of, momentum, group.epsilon).reshape(-1)
                direction *= values.learning_rate * group.rate
            else:
                direction = optimizer.direction(g, arrays, group.epsilon * values.epsilon, free)
                direction *= values.learning_rate * group.rate * values.scale
            w -= direction
            if averaged is not None:
                blend(averaged, w, values.average_weight, free)
            if count % FLUSH_EVERY == 0:
                for array in arrays:
                    np.abs(array, out=free)
                    array *= np.greater_equal(free, smallest, out=free)

    return step


def clip(gradient: Array, largest: float, groups: Iterable[ParameterGroup]) -> None:
    """Scale the gradient down to norm `largest` where it is longer (Pascanu et al. 2013).

    Squares are summed in float64, where those of float32 do not overflow; a norm that does has diverged, and gives NaN.
    """
    total = 0.0
    for group in groups:
        for start in range(group.start, group.stop, CHUNK):
            own = gradient[start : min(start + CHUNK, group.stop)].astype(np.float64, copy=False)
            total += group.square_weight * float(np.dot(own, own))
    if (norm := sqrt(total)) > largest:
        gradient *= largest / norm if isfinite(norm) else nan
