"""One epoch of stochastic gradient descent in NumPy, behind the interface that other engines share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.averaging import Averaging, blend
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Dropout, Network, Workspace, backward, batch_losses, forward
from mlpcli.nn.optimizers import Optimizer
from mlpcli.nn.parameters import Parameters, allocate_parameters
from mlpcli.nn.passes import NUMPY, Passes
from mlpcli.nn.rates import Rates, stretches
from mlpcli.nn.schedules import Constant, Schedule, schedule_factor
from mlpcli.nn.stepping import bind
from mlpcli.training.members import EpochRows, MemberRows, epoch_rows
from mlpcli.training.samples import Batch, Samples
from mlpcli.training.streams import stream

Array = NDArray[np.floating[Any]]
OptimizerState = dict[str, NDArray[Any]]

ALIKE, STEADY = Rates(), Constant()


@dataclass(frozen=True)
class Plan:
    """How to train: every choice resolved. `chunk_rows` is for rows on disk, see `shuffled`."""

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    batch_size: int
    epochs: int
    gradient_clip: float | None = None
    seed: int = 0
    n_threads: int = 1
    rates: Rates = ALIKE
    is_ntk: bool = False
    dropout_schedule: Schedule = STEADY
    decay_schedule: Schedule = STEADY
    averaging: Averaging | None = None
    member_rows: MemberRows = "all"
    chunk_rows: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether all rows train every parameter at one rate, and nothing but that rate changes over time."""
        schedules = (self.dropout_schedule, self.decay_schedule)
        is_steady = all(isinstance(schedule, Constant) and not schedule.warmup for schedule in schedules)
        has_own_rows = self.member_rows != "all"
        return self.rates == ALIKE and not (self.is_ntk or has_own_rows) and is_steady and self.averaging is None


@dataclass(frozen=True)
class EpochResult:
    """What an epoch of training was like: each member's mean loss over its rows, and the last learning rate."""

    losses: tuple[float, ...]
    learning_rate: float

    @property
    def train_loss(self) -> float:
        """The mean over the members."""
        return sum(self.losses) / len(self.losses)


class NonFiniteLoss(Exception):
    """The loss was NaN or infinite in this epoch; `state` still holds the epoch before."""

    def __init__(self, epoch: int, where: str) -> None:
        super().__init__(f"the {where} loss is not finite in epoch {epoch}")
        self.epoch = epoch
        self.where = where


class Engine(Protocol):
    """Runs epochs of `n_steps` steps over the training rows it was made for; `steps_taken` counts all it has taken."""

    n_steps: int

    @property
    def steps_taken(self) -> int:
        """Steps since it was made, those of a given-up epoch too."""

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows in a fresh order; `parameters` and `optimizer_state` change in place.

        `epoch` counts from 0. None when `must_stop` said so half-way: what was changed is then worthless. Raises
        NonFiniteLoss.
        """


def learning_rate_at(plan: Plan, epoch: int, step: int, n_steps: int) -> float:
    """The rate of a step (from 0) of `n_steps` in an epoch (from 0).

    The middle of the step stands for it, so that a warm-up does not waste its first step on a rate of zero.
    """
    return plan.optimizer.learning_rate * schedule_factor(plan.schedule, epoch + (step + 0.5) / n_steps, plan.epochs)


@dataclass(frozen=True)
class Factors:
    """What changes from step to step.

    The learning rate, the factor of weight decay, that of dropout, and the share of the weights in their average.
    """

    learning_rate: float
    decay: float
    dropout: float
    averaged: float


def factors_at(plan: Plan, epoch: int, step: int, n_steps: int) -> Factors:
    """Those of a step (from 0) of `n_steps` in an epoch (from 0); schedules go by the middle of the step."""
    time, averaging = epoch + (step + 0.5) / n_steps, plan.averaging
    return Factors(
        learning_rate_at(plan, epoch, step, n_steps),
        schedule_factor(plan.decay_schedule, time, plan.epochs),
        schedule_factor(plan.dropout_schedule, time, plan.epochs),
        0.0 if averaging is None else averaging.share(epoch * n_steps + step + 1, plan.epochs * n_steps),
    )


def start_optimizer(plan: Plan, flat: Array) -> OptimizerState:
    """What a training carries from step to step beside the parameters: the optimizer's state, and the average."""
    average = {} if plan.averaging is None else {"average": flat.copy()}
    return plan.optimizer.start(flat) | average


class NumpyEngine:
    """The engine for every network, loss and optimizer; holds every buffer an epoch needs.

    `rows` are what each member trains on, all rows if not given; `passes` makes what stands between the products.
    """

    def __init__(
        self,
        network: Network,
        plan: Plan,
        train: Samples,
        rows: EpochRows | None = None,
        passes: Passes = NUMPY,
    ) -> None:
        dtype = train.X.dtype
        self.network, self.plan, self.passes = network, plan, passes
        self.rows = rows or epoch_rows("all", network.members, train.n_rows, plan.seed, chunk_rows=plan.chunk_rows)
        self.batch_size = min(plan.batch_size, self.rows.n_rows)
        self.n_steps, self.steps_taken = math.ceil(self.rows.n_rows / self.batch_size), 0
        self.batch = Batch(train, self.batch_size * network.members, dtype)
        self.workspace = Workspace(network, self.batch_size, dtype, passes)
        self.gradient = allocate_parameters(network, dtype)
        self.stretches = stretches(network, plan.optimizer, plan.rates, plan.is_ntk)
        self._scratch = np.empty_like(self.gradient.flat) if plan.averaging else self.gradient.flat[:0]

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows; see `Engine`."""
        plan, n_steps = self.plan, self.n_steps
        order = self.rows.order(plan.seed, epoch)
        dropout_rngs = tuple(stream(plan.seed, "dropout", epoch, member) for member in self.rows.members)
        take_step = bind(
            plan.optimizer, parameters.flat, self.gradient.flat, optimizer_state, parameters.n_weights,
            self.stretches, self.passes.update(plan.optimizer), self.passes.block_size,
        )  # fmt: skip
        totals, learning_rate = np.zeros(self.network.members), 0.0
        for step in range(n_steps):
            if must_stop():
                return None
            rows = order[..., step * self.batch_size : (step + 1) * self.batch_size]
            X, y, weights = self.batch.gather(rows)
            factors = factors_at(plan, epoch, step, n_steps)
            dropout = Dropout(self.network.dropout * factors.dropout, dropout_rngs) if self.network.dropout else None
            forward(parameters, X, self.workspace, dropout)
            losses = batch_losses(self.workspace, plan.loss, y, weights)
            if not all(map(math.isfinite, losses)):
                raise NonFiniteLoss(epoch + 1, "training")
            totals += np.multiply(losses, rows.shape[-1])
            backward(parameters, self.gradient, X, y, plan.loss, self.workspace, weights, dropout is not None)
            if plan.gradient_clip is not None:
                clip(self.gradient, self.network.members, plan.gradient_clip)
            learning_rate = factors.learning_rate
            take_step(learning_rate, factors.decay)
            if plan.averaging is not None:
                blend(optimizer_state["average"], parameters.flat, factors.averaged, self._scratch)
            self.steps_taken += 1
        return EpochResult(tuple((totals / self.rows.n_rows).tolist()), learning_rate)


def clip(gradient: Parameters, n_members: int, largest: float) -> None:
    """Scale each member's whole gradient down to norm `largest` where it is longer (Pascanu et al. 2013).

    The squares are added up tensor by tensor, so that a member has the same norm alone and among others.
    """
    for member in range(n_members):
        parts = [tensor[member] if n_members > 1 else tensor for tensor in gradient.tensors.values()]
        factor = _shrinking(parts, largest)
        for part in parts:
            part *= factor


def _shrinking(parts: Sequence[Array], largest: float) -> float:
    """What the parts of a vector are multiplied with to bring its norm down to `largest`; 1 where it is shorter."""
    norm = math.sqrt(sum(float(np.vdot(part, part)) for part in parts))
    if math.isinf(norm):  # of the squares; the gradient itself may be finite
        norm = math.sqrt(sum(float(np.square(part, dtype=np.float64).sum()) for part in parts))
    return largest / norm if norm > largest else 1.0
