"""Which engine runs the epochs: NumPy's, which can do everything, or the compiled one, quicker on small networks."""

import math
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import MlpError
from mlpcli.extras.coverage import unsupported
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import count_parameters
from mlpcli.training.engine import Engine, NumpyEngine, Plan
from mlpcli.training.samples import Samples

INSTALL_HINT = 'pip install "mlp-train[fast]"'

# Parameters times rows of a step up to which the compiled loop wins: NumPy's calls cost more than its arithmetic there,
# and its matrix products are the better ones above (measured: 10 times quicker at 5 thousand, equal at 2 million).
MOST_WORK = 1_500_000
# Steps that repay loading the compiled code: each saves about 25 us; loading takes 0.4 s, compiling (once per
# installation and dtype) 7 s. What is in the cache has no say: it would change the last digits from run to run.
STEPS_WORTH_LOADING = 100_000


@dataclass(frozen=True)
class EngineChoice:
    """The engine's name, "numpy" or "compiled", and why it is that one; no reason where NumPy is the natural choice."""

    name: str
    reason: str = ""


def choose_engine(loaded: LoadedConfig, network: Network, plan: Plan, n_rows: int) -> EngineChoice:
    """What `training.engine` comes to, the same one for the same config and data; imports nothing.

    Raises ConfigError where the compiled engine is asked for and missing, or cannot run this training.
    """
    asked = loaded.config.training.engine
    is_installed = find_spec("numba") is not None
    missing = unsupported(network, plan)
    if asked == "compiled":
        if not is_installed:
            raise loaded.error("training.engine", f"compiled needs Numba. Install it with: {INSTALL_HINT}")
        if missing:
            raise loaded.error("training.engine", f"compiled cannot run {missing}. Write auto or numpy.")
        return EngineChoice("compiled", "as the config says")
    if asked == "numpy" or not is_installed:
        return EngineChoice("numpy")
    batch_size = min(plan.batch_size, n_rows)
    n_steps = math.ceil(n_rows / batch_size) * plan.epochs
    if count_parameters(network) * batch_size > MOST_WORK or n_steps < STEPS_WORTH_LOADING:
        return EngineChoice("numpy")
    if missing:
        return EngineChoice("numpy", f"compiled would be quicker, but cannot run {missing}")
    return EngineChoice("compiled", f"{n_steps:,} small steps".replace(",", " "))


def make_engine(
    choice: EngineChoice, network: Network, plan: Plan, train: Samples, folds: NDArray[np.int64] | None = None
) -> Engine:
    """The chosen engine for these rows; raises MlpError where Numba is there but does not work."""
    if choice.name == "numpy":
        return NumpyEngine(network, plan, train, folds)
    try:
        from mlpcli.extras.compiled import CompiledEngine
    except (ImportError, RuntimeError) as fault:  # built for another NumPy, or no folder to keep compiled code in
        reason = next(iter(str(fault).splitlines()), "")
        raise MlpError(f"Numba cannot be used: {reason}\nRepair it, or write training.engine: numpy") from fault
    return CompiledEngine(network, plan, train)


def engine_versions(choice: EngineChoice) -> dict[str, str]:
    """Versions of the libraries that this engine adds to the record of a model."""
    return {"numba": version("numba")} if choice.name == "compiled" else {}
