"""Which engine runs the epochs: NumPy alone, or compiled code.

Of compiled code there are two kinds: a loop over whole epochs, which calls BLAS itself, for all that it can run; and
the NumPy engine with compiled passes between its matrix products for the rest.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import MlpError
from mlpcli.extras.coverage import runs_whole_epochs
from mlpcli.extras.foreign import NO_BLAS, find_blas
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import count_parameters
from mlpcli.training.engine import Engine, Plan
from mlpcli.training.groups import numpy_engine
from mlpcli.training.samples import Samples
from mlpcli.training.threads import SHARE_WORTH_A_COMPILED_THREAD, training_threads

COMPILING = "compiling, once, takes up to half a minute; pressing Ctrl-C twice ends it"
INSTALL_HINT = 'pip install "mlp-train[fast]"'

# Parameters times rows of a step up to which the loop over whole epochs wins where it finds no BLAS to call: NumPy's
# calls cost more than its arithmetic there, and its matrix products are the better ones above (measured: 10 times
# quicker than NumPy at 5 thousand, equal at a million).
MOST_WORK_WITHOUT_BLAS = 1_000_000
# What compiled code spares (measured): a loop over epochs NumPy's calls of a step, a pass in place of several a part of
# what these take for every parameter (SGD less than those with a root) and every hidden neuron, most where the
# activation is made of many operations.
SECONDS_OF_CALLS = 50e-6
SECONDS_PER_PARAMETER, SECONDS_PER_ROOT = 0.4e-9, 1.0e-9
SECONDS_PER_NEURON = {"mish": 6e-9, "gelu": 4e-9, "silu": 3.5e-9, "selu": 3e-9}
SECONDS_PER_SIMPLE_NEURON = 0.6e-9
# To repay loading the compiled code, which takes 0.4 s, and compiling it, once per installation and dtype 20 s. What is
# in the cache has no say: it would change the last digits from run to run.
SECONDS_WORTH_LOADING = 2.5


@dataclass(frozen=True)
class EngineChoice:
    """The engine's name, "numpy" or "compiled", and why it is that one; no reason where NumPy is the natural choice."""

    name: str
    reason: str = ""


def choose_engine(loaded: LoadedConfig, network: Network, plan: Plan, n_rows: int) -> EngineChoice:
    """What `training.engine` comes to, the same one for the same config and data; imports nothing.

    Raises ConfigError where the compiled engine is asked for and missing.
    """
    asked = loaded.config.training.engine
    is_installed = find_spec("numba") is not None
    if asked == "compiled":
        if not is_installed:
            raise loaded.error("training.engine", f"compiled needs Numba. Install it with: {INSTALL_HINT}")
        return EngineChoice("compiled", "as the config says")
    if asked == "numpy" or not is_installed:
        return EngineChoice("numpy")
    n_steps = math.ceil(n_rows / plan.batch_size) * plan.epochs
    if n_steps * _seconds_spared(network, plan, loaded.config.training.dtype) < SECONDS_WORTH_LOADING:
        return EngineChoice("numpy")
    steps = f"{n_steps:,} steps of {count_parameters(network):,} parameters"
    return EngineChoice("compiled", steps.replace(",", " "))


def plan_threads(asked: int | str, choice: EngineChoice, network: Network, plan: Plan, dtype: DTypeLike) -> int:
    """How many threads the chosen engine gets: the user's number, or for "auto" as many as pay."""
    if runs_compiled_epochs(choice, network, plan, dtype):
        return training_threads(asked, network, plan.batch_size, SHARE_WORTH_A_COMPILED_THREAD)
    return training_threads(asked, network, plan.batch_size)


def make_engine(
    choice: EngineChoice, network: Network, plan: Plan, train: Samples, folds: NDArray[np.int64] | None = None
) -> Engine:
    """The chosen engine for these rows; raises MlpError where Numba is there but does not work."""
    if choice.name == "numpy":
        return numpy_engine(network, plan, train, folds)
    with _numba_works():
        from mlpcli.extras.compiled import CompiledEngine
        from mlpcli.extras.passes import CompiledPasses
    if runs_compiled_epochs(choice, network, plan, train.X.dtype):
        return CompiledEngine(network, plan, train, find_blas(train.X.dtype))
    return numpy_engine(network, plan, train, folds, CompiledPasses())


def noting_compilation(choice: EngineChoice, note: Callable[[str], object]) -> AbstractContextManager[object]:
    """Within, `note` is given a sentence when compiling begins: nothing else will come for a while."""
    if choice.name == "numpy":
        return nullcontext()
    with _numba_works():
        from mlpcli.extras.compilation import told_of_compiling
    return told_of_compiling(lambda: note(COMPILING))


@contextmanager
def _numba_works() -> Iterator[None]:
    """Within, what loading Numba raises becomes an MlpError."""
    try:
        yield
    except (ImportError, RuntimeError) as fault:  # built for another NumPy, or no folder to keep compiled code in
        reason = next(iter(str(fault).splitlines()), "")
        raise MlpError(f"Numba cannot be used: {reason}\nRepair it, or write training.engine: numpy") from fault


def runs_compiled_epochs(choice: EngineChoice, network: Network, plan: Plan, dtype: DTypeLike) -> bool:
    """Whether the choice comes to one compiled loop over whole epochs, and not to NumPy's with compiled passes."""
    return choice.name == "compiled" and _pays_as_one_loop(network, plan, dtype)


def _pays_as_one_loop(network: Network, plan: Plan, dtype: DTypeLike) -> bool:
    """Whether one compiled loop can run everything, and beats NumPy's products with compiled passes between them."""
    if not runs_whole_epochs(network, plan):
        return False
    return count_parameters(network) * plan.batch_size <= MOST_WORK_WITHOUT_BLAS or find_blas(dtype) != NO_BLAS


def _seconds_spared(network: Network, plan: Plan, dtype: DTypeLike) -> float:
    """What compiled code takes off a step."""
    per_parameter = SECONDS_PER_PARAMETER if plan.optimizer.name == "sgd" else SECONDS_PER_ROOT
    neurons = network.members * sum(network.sizes[1:-1])
    per_neuron = SECONDS_PER_NEURON.get(network.activation, SECONDS_PER_SIMPLE_NEURON)
    of_passes = count_parameters(network) * per_parameter + neurons * plan.batch_size * per_neuron
    return of_passes + SECONDS_OF_CALLS if _pays_as_one_loop(network, plan, dtype) else of_passes


def engine_versions(choice: EngineChoice) -> dict[str, str]:
    """Versions of the libraries that this engine adds to the record of a model."""
    return {"numba": version("numba")} if choice.name == "compiled" else {}
