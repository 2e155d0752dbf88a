"""The compiled engine for small networks: an epoch as a few calls of one compiled loop."""

import math
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mlpcli.extras.coverage import HIDDEN, MOMENTS, OPTIMIZERS, OUTPUTS, optimizer_options
from mlpcli.extras.kernels import TILE, run_steps
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import Parameters, count_parameters
from mlpcli.training.engine import EpochResult, NonFiniteLoss, OptimizerState, Plan, learning_rate_at
from mlpcli.training.samples import Samples
from mlpcli.training.streams import stream

# Seconds between two looks at `must_stop`.
CHUNK_SECONDS = 0.05


class CompiledEngine:
    """The engine for small networks; see `coverage.runs_whole_epochs` for what it can run.

    Results are those of NumpyEngine up to the rounding of sums; the state is the same, and either goes on where the
    other stopped.
    """

    def __init__(self, network: Network, plan: Plan, train: Samples) -> None:
        dtype, sizes = train.X.dtype, network.sizes
        self.plan, self.n_rows = plan, train.n_rows
        self.batch_size = min(plan.batch_size, train.n_rows)
        self.n_steps, self.steps_taken = math.ceil(self.n_rows / self.batch_size), 0
        self._sizes = np.array(sizes, np.int64)
        hidden = HIDDEN.get(network.activation, HIDDEN["identity"])  # of no account without hidden layers
        self._codes = np.array([hidden, OUTPUTS[plan.loss.name], OPTIMIZERS[type(plan.optimizer)]], np.int64)
        self._options = optimizer_options(plan.optimizer)
        by_class = train.class_targets is not None
        self._X = np.ascontiguousarray(train.X)
        self._class_codes = np.ascontiguousarray(train.y if by_class else (), np.int64)
        self._targets = np.ascontiguousarray(train.class_targets if by_class else train.y, dtype)
        self._weights = np.ascontiguousarray(() if train.weights is None else train.weights, dtype)
        self._gradient = np.empty(count_parameters(sizes), dtype)
        self._buffers = tuple(np.empty(sum(sizes) * TILE, dtype) for _ in range(3))
        self._y = np.empty((sizes[-1], TILE), dtype)
        self._scratch = np.empty((6, TILE), dtype)
        self._chunk = 1  # steps that take about CHUNK_SECONDS

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows; see `Engine`."""
        plan, n_steps = self.plan, self.n_steps
        order = stream(plan.seed, "order", epoch).permutation(self.n_rows)
        rates = np.array([learning_rate_at(plan, epoch, step, n_steps) for step in range(n_steps)])
        moments = self._moments(optimizer_state)
        total, step = 0.0, 0
        while step < n_steps:
            if must_stop():
                return None
            after, started = min(step + self._chunk, n_steps), perf_counter()
            added, fault = run_steps(
                step, after, self.batch_size, order, self._X, self._class_codes, self._targets, self._weights,
                self._sizes, self._codes, parameters.n_weights, parameters.flat, self._gradient, self._buffers, self._y,
                self._scratch, self._options, plan.optimizer.weight_decay, rates, moments, int(optimizer_state["step"]),
                plan.gradient_clip or 0.0,
            )  # fmt: skip
            if fault >= 0:
                raise NonFiniteLoss(epoch + 1, "training")
            optimizer_state["step"] += after - step
            self.steps_taken += after - step
            total += added
            self._adapt(after - step, perf_counter() - started)
            step = after
        return EpochResult((total / self.n_rows,), float(rates[-1]))

    def _moments(self, optimizer_state: OptimizerState) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """The two arrays that the loop updates; an empty one for each that this optimizer does without."""
        empty = np.empty(0, self._gradient.dtype)
        kept = [optimizer_state[name] for name in MOMENTS[self.plan.optimizer.name] if name in optimizer_state]
        first, second = (*kept, empty, empty)[:2]
        return first, second

    def _adapt(self, n_steps: int, seconds: float) -> None:
        """Aim at CHUNK_SECONDS; at most double, for the first call of all also loads the compiled code."""
        wanted = int(CHUNK_SECONDS / max(seconds, 1e-9) * n_steps)
        self._chunk = max(1, min(wanted, 2 * self._chunk if n_steps > 1 else 64))
