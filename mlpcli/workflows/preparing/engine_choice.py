"""Choose the engine: NumPy, or compiled code if it supports the training and the training is long enough."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from numpy.typing import DTypeLike

from mlpcli.compiled.blas import NO_BLAS, NO_SLEEP, find_blas, find_sleep
from mlpcli.compiled.division import max_threads
from mlpcli.compiled.program import NotSupported, lower_network, rule_hyperparameters
from mlpcli.config.loading import LoadedConfig
from mlpcli.machine import available_cores
from mlpcli.nn.network import Network
from mlpcli.training.member import TrainingSpec
from mlpcli.training.threads import member_threads, product_threads, step_work

INSTALL_HINT = 'pip install "mlp-train[fast]"'

# Measured savings of compiled code per step: NumPy's call overhead, and by fusing element-wise kernels a time per
# parameter (SGD less than optimizers with a square root) and per hidden neuron, most for composite activations.
SECONDS_OF_CALLS = 50e-6
SECONDS_PER_PARAMETER, SECONDS_PER_ROOT = 0.4e-9, 1.0e-9
SECONDS_PER_NEURON = {"mish": 6e-9, "gelu": 4e-9, "silu": 3.5e-9, "selu": 3e-9}
SECONDS_PER_SIMPLE_NEURON = 0.6e-9
# Savings that justify loading the compiled code (0.4 s) and compiling it (10 s, once per installation and dtype).
# Ignores the cache, so that repeated runs agree to the last digit.
SECONDS_WORTH_LOADING = 2.5


@dataclass(frozen=True)
class EngineChoice:
    """The engine's name, "numpy" or "compiled", and the reason; "" if NumPy is the default."""

    name: str
    reason: str = ""


def choose_engine(
    loaded: LoadedConfig, networks: Sequence[Network], specs: Sequence[TrainingSpec], n_rows: int
) -> EngineChoice:
    """Resolve `training.engine`, deterministically for the same config and data; does not import Numba.

    `specs` has one spec per network, or a single one for all. Raises ConfigError if the compiled engine is required
    but Numba is not installed.
    """
    configured, dtype = loaded.config.training.engine, loaded.config.training.dtype
    if configured == "compiled" and find_spec("numba") is None:
        raise loaded.error("training.engine", f"compiled needs Numba. Install it with: {INSTALL_HINT}")
    if configured == "numpy" or find_spec("numba") is None:
        return EngineChoice("numpy")
    if reason := _not_supported(networks, specs, dtype):
        return EngineChoice("numpy", f"compiled does not support {reason}")
    if configured == "compiled":
        return EngineChoice("compiled", "set by the config")
    pairs = list(zip(networks, specs if len(specs) > 1 else [specs[0]] * len(networks), strict=True))
    n_steps = [math.ceil(n_rows / spec.batch_size) * spec.epochs for _, spec in pairs]
    saved = sum(n * _seconds_saved(*pair) for n, pair in zip(n_steps, pairs, strict=True))
    if saved < SECONDS_WORTH_LOADING:
        return EngineChoice("numpy")
    n_parameters = {network.n_parameters for network in networks}
    most = "up to " if len(n_parameters) > 1 else ""
    steps = f"{sum(n_steps):,} steps of {most}{max(n_parameters):,} parameters"
    return EngineChoice("compiled", steps.replace(",", " "))


def training_threads(configured: int | str, choice: EngineChoice, networks: Sequence[Network], batch_size: int) -> int:
    """The number of threads of a training: as configured, or for "auto" as many cores as have enough work.

    They run members in parallel or, with a single member, the work of each step.
    """
    if configured != "auto":
        return int(configured)
    if len(networks) > 1:
        work = step_work(networks[0], batch_size)
        is_free = choice.name == "compiled"  # releases the interpreter's lock, so that every member gains from a thread
        return min(available_cores(), len(networks)) if is_free else member_threads(len(networks), work)
    of_step = max_threads if choice.name == "compiled" else product_threads
    return min(available_cores(), of_step(networks[0], batch_size))


def _not_supported(networks: Sequence[Network], specs: Sequence[TrainingSpec], dtype: DTypeLike) -> str:
    """The part of this training that the compiled engine does not support, "" if it supports all."""
    if find_blas(dtype) == NO_BLAS:
        return "the matrix product of this BLAS"
    if find_sleep() == NO_SLEEP:
        return "thread sleeping on this system"
    try:
        for network in networks:
            lower_network(network, specs[0].loss)
        for spec in specs:
            rule_hyperparameters(spec.update.optimizer)
    except NotSupported as fault:
        return str(fault)
    return ""


def _seconds_saved(network: Network, spec: TrainingSpec) -> float:
    """The seconds that compiled code saves per step."""
    per_parameter = SECONDS_PER_PARAMETER if spec.update.optimizer.name == "sgd" else SECONDS_PER_ROOT
    per_neuron = (
        layer.width * SECONDS_PER_NEURON.get(function, SECONDS_PER_SIMPLE_NEURON)
        for layer, function in network.dense_layers[:-1]
    )
    return network.n_parameters * per_parameter + spec.batch_size * sum(per_neuron) + SECONDS_OF_CALLS
