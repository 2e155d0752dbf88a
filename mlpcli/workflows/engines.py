"""Which engine runs the epochs: NumPy, or compiled code where there is enough to do and it knows the whole training."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

from numpy.typing import DTypeLike

from mlpcli.compiled.blas import NO_BLAS, NO_SLEEP, find_blas, find_sleep
from mlpcli.compiled.program import NotSupported, lower_network, max_threads, rule_hyperparameters
from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import MlpError
from mlpcli.machine import available_cores
from mlpcli.nn.network import Network
from mlpcli.training.fit import MakeTrainer
from mlpcli.training.member import NumpyTrainer, TrainingSpec
from mlpcli.training.threads import member_threads, product_threads, step_work
from mlpcli.watching import tell

COMPILING = "compiling, once, takes 10 to 20 seconds"
INSTALL_HINT = 'pip install "mlp-train[fast]"'

# What compiled code spares (measured): a loop over epochs NumPy's calls of a step, a pass in place of several a part of
# what these take for every parameter (SGD less than those with a root) and every hidden neuron, most where the
# activation is made of many operations.
SECONDS_OF_CALLS = 50e-6
SECONDS_PER_PARAMETER, SECONDS_PER_ROOT = 0.4e-9, 1.0e-9
SECONDS_PER_NEURON = {"mish": 6e-9, "gelu": 4e-9, "silu": 3.5e-9, "selu": 3e-9}
SECONDS_PER_SIMPLE_NEURON = 0.6e-9
# To repay loading the compiled code, which takes 0.4 s, and compiling it, once per installation and dtype 10 s. What is
# in the cache has no say: it would change the last digits from run to run.
SECONDS_WORTH_LOADING = 2.5


@dataclass(frozen=True)
class EngineChoice:
    """The engine's name, "numpy" or "compiled", and why it is that one; no reason where NumPy is the natural choice."""

    name: str
    reason: str = ""


def choose_engine(
    loaded: LoadedConfig, networks: Sequence[Network], specs: Sequence[TrainingSpec], n_rows: int
) -> EngineChoice:
    """What `training.engine` comes to, the same one for the same config and data; imports no Numba.

    `specs` has one for each network, or a single one for all. Raises ConfigError where the compiled engine is asked for
    and missing.
    """
    asked, dtype = loaded.config.training.engine, loaded.config.training.dtype
    if asked == "compiled" and find_spec("numba") is None:
        raise loaded.error("training.engine", f"compiled needs Numba. Install it with: {INSTALL_HINT}")
    if asked == "numpy" or find_spec("numba") is None:
        return EngineChoice("numpy")
    if reason := _not_supported(networks, specs, dtype):
        return EngineChoice("numpy", f"compiled does not support {reason}")
    if asked == "compiled":
        return EngineChoice("compiled", "set by the config")
    pairs = list(zip(networks, specs if len(specs) > 1 else [specs[0]] * len(networks), strict=True))
    n_steps = [math.ceil(n_rows / spec.batch_size) * spec.epochs for _, spec in pairs]
    spared = sum(n * _seconds_spared(*pair) for n, pair in zip(n_steps, pairs, strict=True))
    if spared < SECONDS_WORTH_LOADING:
        return EngineChoice("numpy")
    n_parameters = {network.n_parameters for network in networks}
    most = "up to " if len(n_parameters) > 1 else ""
    steps = f"{sum(n_steps):,} steps of {most}{max(n_parameters):,} parameters"
    return EngineChoice("compiled", steps.replace(",", " "))


def training_threads(asked: int | str, choice: EngineChoice, networks: Sequence[Network], batch_size: int) -> int:
    """Threads of a training: the user's number, or for "auto" as many of the cores as have enough to do.

    They share the members or, of a single one, each step.
    """
    if asked != "auto":
        return int(asked)
    if len(networks) > 1:
        work = step_work(networks[0], batch_size)
        is_free = choice.name == "compiled"  # of the interpreter's lock: every member gains by a thread
        return min(available_cores(), len(networks)) if is_free else member_threads(len(networks), work)
    of_step = max_threads if choice.name == "compiled" else product_threads
    return min(available_cores(), of_step(networks[0], batch_size))


def trainer_maker(choice: EngineChoice, n_members: int, n_threads: int) -> MakeTrainer:
    """What makes the trainer of each member; raises MlpError where Numba is there but does not work."""
    n_threads = n_threads if n_members == 1 else 1
    if choice.name == "numpy":
        return partial(NumpyTrainer, n_threads=n_threads)
    with _numba_works():
        from mlpcli.compiled.trainer import CompiledTrainer
    return partial(CompiledTrainer, n_threads=n_threads)


def load_engine(choice: EngineChoice, dtype: DTypeLike) -> None:
    """Compile what the steps call, or load it, in this thread, which Ctrl-C reaches; NumPy's engine needs nothing."""
    if choice.name == "compiled":
        with _numba_works():
            from mlpcli.compiled.trainer import compile_steps
        compile_steps(dtype)


def noting_compilation(choice: EngineChoice, note: Callable[[str], object]) -> AbstractContextManager[object]:
    """Within, `note` is given a sentence when compiling begins: nothing else will come for a while."""
    if choice.name != "compiled":
        return nullcontext()
    with _numba_works():
        from mlpcli.compiled.notify import on_compilation

    def say() -> None:
        note(COMPILING)
        tell("stage", "compiling", 0)

    return on_compilation(say)


@contextmanager
def _numba_works() -> Iterator[None]:
    """Within, what loading Numba raises becomes an MlpError."""
    try:
        yield
    except (ImportError, RuntimeError) as fault:  # built for another NumPy, or no folder to keep compiled code in
        reason = next(iter(str(fault).splitlines()), "")
        raise MlpError(f"Numba cannot be used: {reason}\nRepair it, or write training.engine: numpy") from fault


def _not_supported(networks: Sequence[Network], specs: Sequence[TrainingSpec], dtype: DTypeLike) -> str:
    """What the compiled engine does not know of this training, "" for nothing."""
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


def _seconds_spared(network: Network, spec: TrainingSpec) -> float:
    """What compiled code takes off a step."""
    per_parameter = SECONDS_PER_PARAMETER if spec.update.optimizer.name == "sgd" else SECONDS_PER_ROOT
    per_neuron = (
        layer.width * SECONDS_PER_NEURON.get(function, SECONDS_PER_SIMPLE_NEURON)
        for layer, function in network.dense_layers[:-1]
    )
    return network.n_parameters * per_parameter + spec.batch_size * sum(per_neuron) + SECONDS_OF_CALLS


def engine_versions(choice: EngineChoice) -> dict[str, str]:
    """Versions of the libraries that this engine adds to the record of a model."""
    return {"numba": version("numba")} if choice.name == "compiled" else {}
