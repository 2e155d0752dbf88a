"""Training of one network: its specification and state, and an epoch of stochastic gradient descent."""

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
from mlpcli.training.rows import shuffle_rows
from mlpcli.training.seeding import rng_of
from mlpcli.training.threads import SharedProducts

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

CONSTANT = Constant()


@dataclass(frozen=True)
class TrainingSpec:
    """How networks are trained, without any `auto`. `chunk_rows` is for rows on disk, see `rows.shuffle_rows`."""

    loss: Loss
    update: UpdateSpec
    schedule: Schedule
    batch_size: int
    epochs: int
    seed: int = 0
    dropout_schedule: Schedule = CONSTANT
    decay_schedule: Schedule = CONSTANT
    chunk_rows: int | None = None


@dataclass
class MemberState:
    """Parameters (n_parameters,) of a member, its optimizer state, and the number of steps taken."""

    flat: Array
    optimizer: State
    n_steps: int = 0

    def copy(self) -> "MemberState":
        """A deep copy."""
        optimizer = {name: values.copy() for name, values in self.optimizer.items()}
        return replace(self, flat=self.flat.copy(), optimizer=optimizer)

    def assign(self, other: "MemberState") -> None:
        """Copy another state of the same member into these arrays."""
        self.flat[...] = other.flat
        for name, values in other.optimizer.items():
            self.optimizer[name][...] = values
        self.n_steps = other.n_steps

    @property
    def is_finite(self) -> bool:
        """Whether parameters and optimizer state are finite; an overflow in the latter would silently stop updates."""
        return all(bool(np.isfinite(values).all()) for values in (self.flat, *self.optimizer.values()))

    @property
    def evaluated_flat(self) -> Array:
        """The parameters that are evaluated and saved: their average if there is one."""
        average: Array = self.optimizer.get("average", self.flat)
        return average


@dataclass(frozen=True)
class Member:
    """A network and its training rows: indices, or the number of rows if it is all of them; `number` seeds it.

    `own_spec` is its training spec if members differ in hyperparameters; loss, epochs and seed are common to all.
    """

    number: int
    network: Network
    rows: Rows | int = field(repr=False)
    own_spec: TrainingSpec | None = None

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return self.rows if isinstance(self.rows, int) else len(self.rows)

    def effective_spec(self, shared: TrainingSpec) -> TrainingSpec:
        """Its own spec, else the shared one."""
        return shared if self.own_spec is None else self.own_spec

    def n_steps(self, spec: TrainingSpec) -> int:
        """Number of steps of an epoch."""
        return math.ceil(self.n_rows / self.effective_spec(spec).batch_size)

    def init(
        self, spec: TrainingSpec, dtype: "np.dtype[Any]", x: Array | None, output_bias: Array | None = None
    ) -> MemberState:
        """The state before the first step.

        `x` (n_rows, n_in) are rows for data-driven initializers; `output_bias` (n_out,) is added to the last biases.
        """
        flat = self.network.init(rng_of(spec.seed, "weights", member=self.number), dtype, x)
        if output_bias is not None:
            self.network.unflatten(flat)[-1]["b"] += output_bias.astype(flat.dtype)
        return MemberState(flat, init_state(self.effective_spec(spec).update, flat))


@dataclass(frozen=True)
class EpochResult:
    """The mean loss over a member's rows, and the last learning rate; not `is_complete` if `must_stop` ended it."""

    loss: float
    learning_rate: float
    is_complete: bool = True


class NonFiniteLoss(Exception):
    """The loss was NaN or infinite in this epoch."""

    def __init__(self, epoch: int, where: str) -> None:
        super().__init__(f"the {where} loss is not finite in epoch {epoch}")
        self.epoch = epoch
        self.where = where


def step_values(spec: TrainingSpec, epoch: int, n_steps: int) -> Values:
    """The `StepValues` of each step of an epoch (from 0): (n_steps, 6).

    Schedules are evaluated at the middle of a step, so that the first step of a warm-up has a rate above 0.
    """
    steps, averaging, n_epochs = np.arange(n_steps, dtype=np.float64), spec.update.averaging, spec.epochs
    counts, times = epoch * n_steps + steps + 1.0, epoch + (steps + 0.5) / n_steps
    weights = [0.0 if averaging is None else averaging.weight(int(count), n_epochs * n_steps) for count in counts]
    scale, epsilon = spec.update.optimizer.bias_corrections(counts)
    rates = spec.update.optimizer.learning_rate * _factors(spec.schedule, times, n_epochs)
    decay, dropout = (_factors(own, times, n_epochs) for own in (spec.decay_schedule, spec.dropout_schedule))
    return np.stack([rates, decay, weights, scale, epsilon, dropout], axis=1)


def _factors(schedule: Schedule, times: Values, epochs: int) -> Values:
    if schedule == CONSTANT:
        return np.ones(len(times))
    return np.array([schedule_factor(schedule, time, epochs) for time in times.tolist()])


def step_keys(spec: TrainingSpec, epoch: int, member: int, n_steps: int) -> NDArray[np.uint32]:
    """Seeds (n_steps,) of the noise of each step of an epoch."""
    return rng_of(spec.seed, "dropout", epoch, member).integers(1 << 32, size=n_steps, dtype=np.uint32)


def draw_epoch(member: Member, spec: TrainingSpec, epoch: int) -> tuple[Rows, Values, NDArray[np.uint32]]:
    """The member's rows in the order of an epoch, and the `step_values` and `step_keys` of its steps."""
    order = shuffle_rows(member.rows, rng_of(spec.seed, "order", epoch, member.number), chunk_rows=spec.chunk_rows)
    n_steps = math.ceil(len(order) / spec.batch_size)
    return order, step_values(spec, epoch, n_steps), step_keys(spec, epoch, member.number, n_steps)


class Trainer(Protocol):
    """Runs epochs of one member, and updates its `state` in place."""

    state: MemberState

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """One pass over the member's shuffled rows; `epoch` counts from 0.

        `must_stop` is called between steps. Raises NonFiniteLoss.
        """


class NumpyTrainer:
    """The trainer in NumPy, for every network, loss and optimizer; `n_threads` share its large matrix products."""

    def __init__(
        self, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState, n_threads: int = 1
    ) -> None:
        self.member, self.spec, self.state = member, spec, state
        gradient = np.empty_like(state.flat)
        self._batch = Batch(dataset, min(spec.batch_size, member.n_rows), state.flat.dtype)
        self._products = SharedProducts(n_threads)
        self._loss_and_gradient = LossAndGradient(member.network, spec.loss, state.flat, gradient, self._products)
        self._step = make_step(member.network, spec.update, state.flat, gradient, state.optimizer)

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """See `Trainer`."""
        with self._products:
            return self._run(epoch, must_stop)

    def _run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        batch_size, (order, all_values, keys) = self.spec.batch_size, draw_epoch(self.member, self.spec, epoch)
        total, values = 0.0, None
        for step, (row, key) in enumerate(zip(all_values.tolist(), keys.tolist(), strict=True)):
            values = StepValues(*row)
            if must_stop():
                return EpochResult(total / len(order), values.learning_rate, is_complete=False)
            rows = order[step * batch_size : (step + 1) * batch_size]
            loss = self._loss_and_gradient(*self._batch.gather(rows), Noise(key, values.dropout_factor))
            if not math.isfinite(loss):
                raise NonFiniteLoss(epoch + 1, "training")
            self._step(epoch * len(keys) + step + 1, values)
            self.state.n_steps += 1
            total += loss * len(rows)
        return EpochResult(total / len(order), values.learning_rate if values else 0.0)
