"""The compiled engine: an epoch as a few calls of one compiled loop."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.extras.coverage import HIDDEN, MOMENTS, OPTIMIZERS, OUTPUTS, optimizer_options
from mlpcli.extras.foreign import NO_BLAS, find_nap
from mlpcli.extras.kernels import run_steps
from mlpcli.extras.loops.arguments import (
    LINE,
    SCRATCH_LINES,
    Blas,
    Buffers,
    Data,
    Rules,
    Shape,
    Share,
    State,
    Steps,
    Team,
)
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import Parameters
from mlpcli.training.crew import Crew
from mlpcli.training.engine import EpochResult, NonFiniteLoss, OptimizerState, Plan, learning_rate_at
from mlpcli.training.members import shuffled
from mlpcli.training.neurons import parts_of
from mlpcli.training.samples import Samples
from mlpcli.training.streams import stream
from mlpcli.training.threads import step_work

Array = NDArray[np.floating[Any]]

# Seconds between two looks at `must_stop`.
CHUNK_SECONDS = 0.05
# Weights of a layer from which threads share its neurons and not the rows: half of them, in float32, fill the half of a
# second-level cache, and what each thread reads of them counts more than one meeting more.
WEIGHTS_BY_NEURONS = 262_144
# Weights whose gradient is made at once: it must still be in the cache when the optimizer comes to it, and BLAS is at
# its best with many.
WEIGHTS_OF_A_PIECE = 524_288
# Multiply-adds of a step that a thread must have, however many threads the user asks for: on a busy machine, meetings
# take longer than these.
LEAST_WORK_OF_A_THREAD = 1_000_000


class CompiledEngine:
    """The engine that runs whole epochs compiled; see `coverage.runs_whole_epochs` for what it can run.

    Products are BLAS's, whose address is given; or, without one, loops that one thread runs. Results are those of
    NumpyEngine up to the rounding of sums; the state is the same, and either goes on where the other stopped.
    """

    def __init__(self, network: Network, plan: Plan, train: Samples, blas: Blas = NO_BLAS) -> None:
        dtype = train.X.dtype
        self.plan, self.n_rows = plan, train.n_rows
        self.batch_size = min(plan.batch_size, train.n_rows)
        self.n_steps, self.steps_taken = math.ceil(self.n_rows / self.batch_size), 0
        nap, n_threads = find_nap(), 1
        if blas.address and nap.address:
            pay = step_work(network, self.batch_size) // LEAST_WORK_OF_A_THREAD
            n_threads = max(1, min(plan.n_threads, self.batch_size, pay))
        self._blas, self._team = blas, Team(n_threads, np.zeros(2 * LINE, np.int64), nap)
        self._data, self._shape = _data(train), _shape(network, plan, n_threads)
        self._buffers = _buffers(network.sizes, self.batch_size, n_threads, dtype)
        is_whole = plan.gradient_clip is not None
        self._shares = [_share(place, network.sizes, n_threads, is_whole, dtype) for place in range(n_threads)]
        self._chunk = 1  # steps that take about CHUNK_SECONDS

    def run(
        self, parameters: Parameters, optimizer_state: OptimizerState, epoch: int, must_stop: Callable[[], bool]
    ) -> EpochResult | None:
        """One pass over all rows; see `Engine`."""
        plan, n_steps = self.plan, self.n_steps
        order = shuffled(self.n_rows, stream(plan.seed, "order", epoch), few=0, chunk_rows=plan.chunk_rows)
        rates = np.array([learning_rate_at(plan, epoch, step, n_steps) for step in range(n_steps)])
        rules = Rules(
            OPTIMIZERS[type(plan.optimizer)], optimizer_options(plan.optimizer), float(plan.optimizer.weight_decay),
            rates, float(plan.gradient_clip or 0.0),
        )  # fmt: skip
        state = self._state(parameters, optimizer_state)
        total, step = 0.0, 0
        with Crew(self._team.n_threads) as crew:
            while step < n_steps:
                if must_stop():
                    return None
                after, started = min(step + self._chunk, n_steps), perf_counter()
                steps = Steps(step, after, self.batch_size, order, int(optimizer_state["step"]), total)
                total, fault = self._share_out(crew, steps, rules, state)
                if fault >= 0:
                    raise NonFiniteLoss(epoch + 1, "training")
                optimizer_state["step"] += after - step
                self.steps_taken += after - step
                self._adapt(after - step, perf_counter() - started)
                step = after
        return EpochResult((total / self.n_rows,), float(rates[-1]))

    def _share_out(self, crew: Crew, steps: Steps, rules: Rules, state: State) -> tuple[float, int]:
        """Have all threads take these steps; returns what `run_steps` does."""
        results = [(steps.total, -1)] * self._team.n_threads
        self._team.meeting[:] = 0

        def take_part(place: int) -> None:
            with self._all_or_none():
                results[place] = run_steps(
                    self._shares[place], self._team, self._blas, steps, self._data, self._shape, rules, state,
                    self._buffers,
                )  # fmt: skip

        with self._all_or_none():  # Ctrl-C may come before the caller's own part
            crew.run(take_part)
        return results[0]

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """Within, whatever is raised sends all threads home: none waits for one that does not come any more."""
        try:
            yield
        except BaseException:
            self._team.meeting[LINE] = 1
            raise

    def _state(self, parameters: Parameters, optimizer_state: OptimizerState) -> State:
        """The arrays that the loop updates; an empty one for each that this optimizer does without."""
        empty = np.empty(0, parameters.flat.dtype)
        kept = [optimizer_state[name] for name in MOMENTS[self.plan.optimizer.name] if name in optimizer_state]
        return State(parameters.flat, *(*kept, empty, empty)[:2])

    def _adapt(self, n_steps: int, seconds: float) -> None:
        """Aim at CHUNK_SECONDS; at most double, for the first call of all also loads the compiled code."""
        wanted = int(CHUNK_SECONDS / max(seconds, 1e-9) * n_steps)
        self._chunk = max(1, min(wanted, 2 * self._chunk if n_steps > 1 else 64))


def _data(train: Samples) -> Data:
    by_class, dtype = train.class_targets is not None, train.X.dtype
    return Data(
        np.ascontiguousarray(train.X),
        np.ascontiguousarray(train.y if by_class else (), np.int32),
        np.ascontiguousarray(train.class_targets if by_class else train.y, dtype),
        np.ascontiguousarray(() if train.weights is None else train.weights, dtype),
    )


def _shape(network: Network, plan: Plan, n_threads: int) -> Shape:
    sizes = network.sizes
    n_weights = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    hidden = HIDDEN.get(network.activation, HIDDEN["identity"])  # of no account without hidden layers
    return Shape(
        np.array(sizes, np.int64),
        hidden,
        OUTPUTS[plan.loss.name],
        np.array([0, *accumulate(sizes[1:-1])], np.int64),
        np.array([0, *accumulate(n_weights[:-1])], np.int64),
        np.array([*accumulate(sizes[1:-1], initial=sum(n_weights))], np.int64),
        np.array([n_threads > 1 and n >= WEIGHTS_BY_NEURONS for n in n_weights]),
    )


def _buffers(sizes: Sequence[int], batch_size: int, n_threads: int, dtype: "np.dtype[Any]") -> Buffers:
    a, slope, delta = (np.empty(batch_size * sum(sizes[1:]), dtype) for _ in range(3))
    inputs, y = np.empty(batch_size * sizes[0], dtype), np.empty(batch_size * sizes[-1], dtype)
    return Buffers(inputs, a, slope, delta, y, np.empty((SCRATCH_LINES, batch_size), dtype), np.zeros((2, n_threads)))


def _share(place: int, sizes: Sequence[int], n_threads: int, is_whole: bool, dtype: "np.dtype[Any]") -> Share:
    """The neurons of each layer that are a thread's, in pieces, the top layer first.

    What is moved last is read first in the next step, and may still be in the cache. `is_whole` gives the gradient of
    each piece a place of its own.
    """
    pieces, at, largest = [], 0, 0
    for layer, (n_in, n_out) in reversed(list(enumerate(pairwise(sizes)))):
        own, most = parts_of(n_out, n_threads)[place], max(1, WEIGHTS_OF_A_PIECE // n_in)
        for first in range(own.start, own.stop, most):
            last = min(first + most, own.stop)
            pieces.append((layer, first, last, at))
            size = (last - first) * (n_in + 1)
            at, largest = at + size * is_whole, max(largest, size)
    return Share(place, np.array(pieces, np.int64).reshape(-1, 4), np.empty(at if is_whole else largest, dtype))
