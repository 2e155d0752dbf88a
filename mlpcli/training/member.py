"""One network in training: what it is made of, and an epoch of stochastic gradient descent."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.layers import Noise
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import LossAndGradient, Network
from mlpcli.nn.schedules import Constant, Schedule, schedule_factor
from mlpcli.nn.steps import State, StepValues, UpdateSpec, init_state, make_step
from mlpcli.training.dataset import Batch, Dataset, Rows
from mlpcli.training.rows import shuffled
from mlpcli.training.seeding import rng_of
from mlpcli.training.threads import SharedProducts

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

STEADY = Constant()


@dataclass(frozen=True)
class TrainingSpec:
    """How networks are trained, every choice made. `chunk_rows` is for rows on disk, see `rows.shuffled`."""

    loss: Loss
    update: UpdateSpec
    schedule: Schedule
    batch_size: int
    epochs: int
    seed: int = 0
    dropout_schedule: Schedule = STEADY
    decay_schedule: Schedule = STEADY
    chunk_rows: int | None = None


@dataclass
class MemberState:
    """Where a member stands: parameters (n_parameters,), what its optimizer keeps, and the steps it has taken."""

    flat: Array
    optimizer: State
    n_steps: int = 0

    def copy(self) -> "MemberState":
        """The same in arrays of its own."""
        optimizer = {name: values.copy() for name, values in self.optimizer.items()}
        return replace(self, flat=self.flat.copy(), optimizer=optimizer)

    def assign(self, other: "MemberState") -> None:
        """Copy the values of another state of the same member into these arrays."""
        self.flat[...] = other.flat
        for name, values in other.optimizer.items():
            self.optimizer[name][...] = values
        self.n_steps = other.n_steps

    @property
    def is_finite(self) -> bool:
        """Whether all of it is; what overflows in an optimizer would stop its parameters without a word."""
        return all(bool(np.isfinite(values).all()) for values in (self.flat, *self.optimizer.values()))

    @property
    def kept(self) -> Array:
        """The parameters that are judged and saved: their average where there is one."""
        average: Array = self.optimizer.get("average", self.flat)
        return average


@dataclass(frozen=True)
class Member:
    """A network and what it is trained on: `rows` of the dataset, or the first `rows` of them; `number` seeds it.

    `own` is how it is trained where members differ in that; of the loss, the epochs and the seed all have the same.
    """

    number: int
    network: Network
    rows: Rows | int = field(repr=False)
    own: TrainingSpec | None = None

    @property
    def n_rows(self) -> int:
        """How many rows it is trained on."""
        return self.rows if isinstance(self.rows, int) else len(self.rows)

    def spec_of(self, shared: TrainingSpec) -> TrainingSpec:
        """How it is trained, given what members share."""
        return shared if self.own is None else self.own

    def n_steps(self, spec: TrainingSpec) -> int:
        """Steps of an epoch."""
        return math.ceil(self.n_rows / self.spec_of(spec).batch_size)

    def init(
        self, spec: TrainingSpec, dtype: "np.dtype[Any]", x: Array | None, output_bias: Array | None = None
    ) -> MemberState:
        """The state before the first step.

        `x` (n_rows, n_in) are rows for starts that go by data; `output_bias` (n_out,) is added to the last biases.
        """
        flat = self.network.init(rng_of(spec.seed, "weights", member=self.number), dtype, x)
        if output_bias is not None:
            self.network.unflatten(flat)[-1]["b"] += output_bias.astype(flat.dtype)
        return MemberState(flat, init_state(self.spec_of(spec).update, flat))


@dataclass(frozen=True)
class EpochResult:
    """The mean loss over a member's rows, and the last learning rate; `is_whole` unless it was told to stop."""

    loss: float
    learning_rate: float
    is_whole: bool = True


class NonFiniteLoss(Exception):
    """The loss was NaN or infinite in this epoch."""

    def __init__(self, epoch: int, where: str) -> None:
        super().__init__(f"the {where} loss is not finite in epoch {epoch}")
        self.epoch = epoch
        self.where = where


def step_values(spec: TrainingSpec, epoch: int, n_steps: int) -> Values:
    """The `StepValues` of each step of an epoch (from 0): (n_steps, 6).

    Schedules go by the middle of a step, so that a warm-up does not waste its first step on a rate of zero.
    """
    steps, averaging, n_epochs = np.arange(n_steps, dtype=np.float64), spec.update.averaging, spec.epochs
    counts, times = epoch * n_steps + steps + 1.0, epoch + (steps + 0.5) / n_steps
    weights = [0.0 if averaging is None else averaging.weight(int(count), n_epochs * n_steps) for count in counts]
    scale, epsilon = spec.update.optimizer.bias_corrections(counts)
    rates = spec.update.optimizer.learning_rate * _factors(spec.schedule, times, n_epochs)
    decay, dropout = (_factors(own, times, n_epochs) for own in (spec.decay_schedule, spec.dropout_schedule))
    return np.stack([rates, decay, weights, scale, epsilon, dropout], axis=1)


def _factors(schedule: Schedule, times: Values, epochs: int) -> Values:
    if schedule == STEADY:
        return np.ones(len(times))
    return np.array([schedule_factor(schedule, time, epochs) for time in times.tolist()])


def step_keys(spec: TrainingSpec, epoch: int, member: int, n_steps: int) -> NDArray[np.uint32]:
    """What seeds the noise of each step of an epoch (n_steps,)."""
    return rng_of(spec.seed, "dropout", epoch, member).integers(1 << 32, size=n_steps, dtype=np.uint32)


class Trainer(Protocol):
    """Runs epochs of one member on a state that it changes in place."""

    state: MemberState

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """One pass over the member's rows in a fresh order; `epoch` counts from 0.

        `must_stop` is asked between steps. Raises NonFiniteLoss.
        """


class NumpyTrainer:
    """The trainer for every network, cost function and optimizer; `n_threads` share its large products.

    It holds the buffers that an epoch needs.
    """

    def __init__(
        self, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState, n_threads: int = 1
    ) -> None:
        self.member, self.spec, self.state = member, spec, state
        self._n_steps, gradient = member.n_steps(spec), np.empty_like(state.flat)
        self._batch = Batch(dataset, min(spec.batch_size, member.n_rows), state.flat.dtype)
        self._products = SharedProducts(n_threads)
        self._loss_and_gradient = LossAndGradient(member.network, spec.loss, state.flat, gradient, self._products)
        self._step = make_step(member.network, spec.update, state.flat, gradient, state.optimizer)

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """See `Trainer`."""
        with self._products:
            return self._run(epoch, must_stop)

    def _run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        spec, n_steps, number = self.spec, self._n_steps, self.member.number
        order = shuffled(self.member.rows, rng_of(spec.seed, "order", epoch, number), chunk_rows=spec.chunk_rows)
        keys, total, of = step_keys(spec, epoch, number, n_steps).tolist(), 0.0, None
        for step, values in enumerate(step_values(spec, epoch, n_steps).tolist()):
            of = StepValues(*values)
            if must_stop():
                return EpochResult(total / len(order), of.learning_rate, is_whole=False)
            rows = order[step * spec.batch_size : (step + 1) * spec.batch_size]
            loss = self._loss_and_gradient(*self._batch.gather(rows), Noise(keys[step], of.dropout_factor))
            if not math.isfinite(loss):
                raise NonFiniteLoss(epoch + 1, "training")
            self._step(epoch * n_steps + step + 1, of)
            self.state.n_steps += 1
            total += loss * len(rows)
        return EpochResult(total / len(order), of.learning_rate if of else 0.0)
