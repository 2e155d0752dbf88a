"""Load the engine of a training: NumPy, or compiled code."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib.metadata import version

from numpy.typing import DTypeLike

from mlpcli.errors import MlpError
from mlpcli.progress import report_progress
from mlpcli.training.fit import MakeTrainer
from mlpcli.training.member import NumpyTrainer
from mlpcli.workflows.preparing.engine_choice import EngineChoice

COMPILING = "compiling, once, takes 10 to 20 seconds"


def trainer_maker(choice: EngineChoice, n_members: int, n_threads: int) -> MakeTrainer:
    """The factory for the trainer of each member; raises MlpError if Numba is installed but does not work."""
    step_threads = n_threads if n_members == 1 else None
    if choice.name == "numpy":
        return partial(NumpyTrainer, n_threads=step_threads or 1)
    with _numba_works():
        from mlpcli.compiled.trainer import CompiledTrainer
    return partial(CompiledTrainer, n_threads=step_threads)


def load_engine(choice: EngineChoice, dtype: DTypeLike) -> None:
    """Compile or load the compiled steps in this thread, so that Ctrl-C works; a no-op for NumPy."""
    if choice.name == "compiled":
        with _numba_works():
            from mlpcli.compiled.trainer import compile_steps

            compile_steps(dtype)


def noting_compilation(choice: EngineChoice, note: Callable[[str], object]) -> AbstractContextManager[object]:
    """A context that calls `note` when compiling begins, because it takes a while."""
    if choice.name != "compiled":
        return nullcontext()
    with _numba_works():
        from mlpcli.compiled.trainer import on_compilation

    def say() -> None:
        note(COMPILING)
        report_progress("stage", "compiling", 0)

    return on_compilation(say)


@contextmanager
def _numba_works() -> Iterator[None]:
    """A context that turns errors of loading Numba into MlpError."""
    try:
        yield
    except (ImportError, RuntimeError) as fault:  # built for another NumPy, or no folder to keep compiled code in
        reason = next(iter(str(fault).splitlines()), "")
        raise MlpError(f"Numba cannot be used: {reason}\nRepair it, or write training.engine: numpy") from fault


def engine_versions(choice: EngineChoice) -> dict[str, str]:
    """Versions of the engine's libraries for the record of a model."""
    return {"numba": version("numba")} if choice.name == "compiled" else {}
