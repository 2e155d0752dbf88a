"""The compiled trainer: an epoch is a few calls of one compiled function."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Any

import numpy as np
from numba.core.event import Listener, install_listener
from numpy.typing import DTypeLike, NDArray

from mlpcli.compiled.arguments import Data, Optimizer, Steps, ThreadGroup, Training
from mlpcli.compiled.blas import find_blas, find_sleep
from mlpcli.compiled.codes import CACHE_LINE
from mlpcli.compiled.division import max_threads
from mlpcli.compiled.epoch import run_steps
from mlpcli.compiled.program import assemble, rule_hyperparameters
from mlpcli.nn.layers import Dense
from mlpcli.nn.losses import SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD
from mlpcli.nn.schedules import Constant
from mlpcli.nn.steps import UpdateSpec
from mlpcli.training.dataset import Dataset
from mlpcli.training.member import EpochResult, Member, MemberState, NonFiniteLoss, TrainingSpec, draw_epoch

Array = NDArray[np.floating[Any]]

# Seconds between two calls of `must_stop`.
CALL_SECONDS = 0.1


class CompiledTrainer:
    """The trainer of networks that `program.lower_network` supports; `n_threads` share each step.

    If it is None, as for members, which threads run side by side, a step is not divided: BLAS packs the weights once.
    Results equal those of NumpyTrainer up to the rounding of sums, and do not depend on the number of threads. Both
    have the same state, and either resumes from the other's. The constructor compiles the code if it is not cached.
    """

    def __init__(
        self, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState, n_threads: int | None = 1
    ) -> None:
        dtype, batch_size = state.flat.dtype, min(spec.batch_size, member.n_rows)
        self.member, self.spec, self.state = member, spec, state
        if n_threads is not None:
            n_threads = max(1, min(n_threads, max_threads(member.network, batch_size)))
        self._threads = ThreadGroup(n_threads or 1, np.zeros(2 * CACHE_LINE, np.int64), find_sleep())
        program = assemble(member.network, spec.loss, spec.update, batch_size, dtype, n_threads)
        optimizer = _optimizer(spec.update, state)
        self._training = Training(self._threads, find_blas(dtype), program, _data(dataset), state.flat, optimizer)
        self._steps_per_call = 1  # adapted to CALL_SECONDS
        no_values, no_keys = np.empty((0, 6)), np.empty(0, np.uint32)
        run_steps(0, self._training, Steps(0, 0, batch_size, np.empty(0, np.int64), no_values, no_keys, 0), 0.0)

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """See `Trainer`."""
        order, values, keys = draw_epoch(self.member, self.spec, epoch)
        n_steps, batch_size, total, step = len(values), self.spec.batch_size, 0.0, 0
        order = order.astype(np.int64, copy=False)
        with ThreadPoolExecutor(max(1, self._threads.n_threads - 1), "step") as threads:
            while step < n_steps:
                if must_stop():
                    return EpochResult(total / len(order), float(values[max(step - 1, 0), 0]), is_complete=False)
                after, started = min(step + self._steps_per_call, n_steps), perf_counter()
                steps = Steps(step, after, batch_size, order, values, keys, epoch * n_steps)
                total, fault = self._run_steps(threads, steps, total)
                if fault >= 0:
                    raise NonFiniteLoss(epoch + 1, "training")
                self.state.n_steps += after - step
                self._adapt_steps_per_call(after - step, perf_counter() - started)
                step = after
        return EpochResult(total / len(order), float(values[-1, 0]))

    def _run_steps(self, threads: ThreadPoolExecutor, steps: Steps, total: float) -> tuple[float, int]:
        """Run these steps on all threads; returns the result of `epoch.run_steps`."""
        self._threads.counters[:] = 0

        def run(rank: int) -> tuple[float, int]:
            with self._releasing():
                result: tuple[float, int] = run_steps(rank, self._training, steps, total)
                return result

        with self._releasing():  # an interrupt may arrive before this thread starts
            others = [threads.submit(run, rank) for rank in range(1, self._threads.n_threads)]
            result = run(0)
            for other in others:
                other.result()
        return result

    @contextmanager
    def _releasing(self) -> Iterator[None]:
        """Context in which an exception releases all threads that wait at the barrier."""
        try:
            yield
        except BaseException:
            self._threads.counters[CACHE_LINE] = 1
            raise

    def _adapt_steps_per_call(self, n_steps: int, seconds: float) -> None:
        """Adapt the steps per call to CALL_SECONDS; at most double: the first call also loads the compiled code."""
        wanted = int(CALL_SECONDS / max(seconds, 1e-9) * n_steps)
        self._steps_per_call = max(1, min(wanted, 2 * self._steps_per_call if n_steps > 1 else 64))


def compile_steps(dtype: DTypeLike) -> None:
    """Compile the code of this dtype, or load it from the cache; later trainers start without delay.

    Raises RuntimeError if a file of the cache is empty: Numba does not sync its files, so a crash of the machine may
    leave such ones.
    """
    network, dtype = Network(1, (Dense(width=1),)), np.dtype(dtype)
    spec = TrainingSpec(SquaredError(), UpdateSpec(optimizer=SGD()), Constant(), batch_size=1, epochs=1)
    member, rows = Member(0, network, 1), np.zeros((1, 1), dtype)
    try:
        CompiledTrainer(member, Dataset(rows, rows), spec, member.init(spec, dtype, None))
    except EOFError as fault:
        folder = run_steps.stats.cache_path
        raise RuntimeError(f"its cache of compiled code is damaged: delete {folder}") from fault


def on_compilation(callback: Callable[[], object]) -> AbstractContextManager[object]:
    """Context in which `callback` is called once, if Numba compiles, for 10 to 20 seconds; not if the cache has it."""
    context: AbstractContextManager[object] = install_listener("numba:compile", _FirstCompilation(callback))
    return context


class _FirstCompilation(Listener):
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback, self._was_called = callback, False

    def on_start(self, event: Any) -> None:
        """Called for each function, nested ones included."""
        if not self._was_called:
            self._was_called = True
            self._callback()

    def on_end(self, event: Any) -> None:
        """Required by the interface."""


def _optimizer(update: UpdateSpec, state: MemberState) -> Optimizer:
    empty, smallest_normal = state.flat[:0], state.flat.dtype.type(np.finfo(state.flat.dtype).tiny)
    first, second, *_ = *(state.optimizer[name] for name in update.optimizer.state_names), empty, empty
    code, hyperparameters = rule_hyperparameters(update.optimizer)
    return Optimizer(
        code, hyperparameters, float(update.gradient_clip or 0.0), smallest_normal, np.zeros_like(state.flat), first,
        second, state.optimizer.get("average", empty),
    )  # fmt: skip


def _data(dataset: Dataset) -> Data:
    by_class, dtype = dataset.class_targets is not None, dataset.X.dtype
    return Data(
        _read_only(dataset.X, dtype),
        _read_only(dataset.y if by_class else (), np.int32),
        _read_only(dataset.class_targets if by_class else dataset.y, dtype),
        _read_only(() if dataset.weights is None else dataset.weights, dtype),
    )


def _read_only(values: Any, dtype: DTypeLike) -> NDArray[Any]:
    """The values as a read-only array, like those mapped from disk: one type, so that Numba compiles once."""
    array = np.require(values, dtype, ["C", "ALIGNED"]).view(np.ndarray)
    array.flags.writeable = False
    return array
