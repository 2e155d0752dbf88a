"""One epoch of stochastic gradient descent in NumPy, behind the interface that other engines share."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Network, Workspace, backward, batch_loss, forward
from mlpcli.nn.optimizers import Optimizer, bind
from mlpcli.nn.parameters import Parameters, allocate_parameters
from mlpcli.nn.schedules import Schedule, schedule_factor
from mlpcli.training.samples import Batch, Samples
from mlpcli.training.streams import stream

Array = NDArray[np.floating[Any]]
OptimizerState = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """How to train: every choice resolved."""

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    batch_size: int
    epochs: int
    gradient_clip: float | None = None
    seed: int = 0
    n_threads: int = 1


@dataclass(frozen=True)
class EpochResult:
    """What an epoch of training was like: mean loss over the rows, and the last learning rate."""

    train_loss: float
    learning_rate: float


class NonFiniteLoss(Exception):
    """The loss was NaN or infinite in this epoch; `state` still holds the epoch before."""

    def __init__(self, epoch: int, where: str) -> None:
        super().__init__(f"the {where} loss is not finite in epoch {epoch}")
        self.epoch = epoch
        self.where = where


class Engine(Protocol):
    """Runs epochs over the training rows it was made for."""

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


class NumpyEngine:
    """The engine for every network, loss and optimizer; holds every buffer an epoch needs."""

    def __init__(self, network: Network, plan: Plan, train: Samples) -> None:
        dtype = train.X.dtype
        self.network, self.plan, self.train = network, plan, train
        self.batch_size = min(plan.batch_size, train.n_rows)
        self.batch = Batch(train, self.batch_size, dtype)
        self.workspace = Workspace(network, self.batch_size, dtype)
        self.gradient = allocate_parameters(network.sizes, dtype)

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows; see `Engine`."""
        plan, n_rows = self.plan, self.train.n_rows
        order = stream(plan.seed, "order", epoch).permutation(n_rows)
        dropout_rng = stream(plan.seed, "dropout", epoch) if self.network.dropout else None
        n_steps = math.ceil(n_rows / self.batch_size)
        take_step = bind(
            plan.optimizer, parameters.flat, self.gradient.flat, optimizer_state, parameters.n_weights, plan.n_threads
        )
        total, learning_rate = 0.0, 0.0
        for step in range(n_steps):
            if must_stop():
                return None
            rows = order[step * self.batch_size : (step + 1) * self.batch_size]
            X, y, weights = self.batch.gather(rows)
            forward(parameters, X, self.workspace, dropout_rng)
            loss = batch_loss(self.workspace, plan.loss, y, weights)
            if not math.isfinite(loss):
                raise NonFiniteLoss(epoch + 1, "training")
            total += loss * rows.size
            backward(parameters, self.gradient, X, y, plan.loss, self.workspace, weights, dropout_rng is not None)
            if plan.gradient_clip is not None:
                _clip(self.gradient.flat, plan.gradient_clip)
            learning_rate = learning_rate_at(plan, epoch, step, n_steps)
            take_step(learning_rate)
        return EpochResult(total / n_rows, learning_rate)


def _clip(grad: Array, largest: float) -> None:
    """Scale the whole gradient down to norm `largest` where it is longer (Pascanu et al. 2013)."""
    norm = float(np.sqrt(np.dot(grad, grad)))
    if math.isinf(norm):  # of the squares; the gradient itself may be finite
        norm = float(np.linalg.norm(grad.astype(np.float64)))
    if norm > largest:
        grad *= largest / norm
