"""The libraries of the step benchmark: each function returns one that trains an epoch, in the library's usual style.

Each runs in a separate process, apart from the threads of the others, which wait on a pipe while one is measured. The
libraries are optional, and each is imported in its own function only.
"""

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from time import perf_counter, sleep
from typing import Any

import numpy as np

from benchmarks.measuring import product_peak
from benchmarks.works import LEARNING_RATE, MOMENTUM, Work, draw_rows

Epoch = Callable[[], object]

# Idle threads of OpenBLAS and OpenMP spin for up to 0.2 s before they sleep.
PAUSE_SECONDS = 0.25


def mlp(work: Work, optimizer: str, compiled: bool = False) -> Epoch:
    """This project: `fit` on samples in memory, threads chosen as `mlp train` chooses them."""
    from mlpcli.nn.build import HiddenSpec, perceptron
    from mlpcli.nn.losses import CrossEntropy
    from mlpcli.nn.network import Network
    from mlpcli.nn.optimizers import SGD, Adam
    from mlpcli.nn.schedules import Constant
    from mlpcli.nn.steps import UpdateSpec
    from mlpcli.training.dataset import Dataset
    from mlpcli.training.fit import fit, init_training
    from mlpcli.training.member import Member, TrainingSpec
    from mlpcli.training.threads import blas_threads
    from mlpcli.workflows.preparing.engine_choice import EngineChoice, training_threads
    from mlpcli.workflows.training.engines import trainer_maker

    X, y = draw_rows(work)
    n_in, *hidden, n_out = work.sizes
    network = Network(n_in, perceptron(n_in, hidden, n_out, ["relu"] * len(hidden), "softmax", HiddenSpec()), "softmax")
    chosen = SGD(learning_rate=LEARNING_RATE, momentum=MOMENTUM) if optimizer == "sgd" else Adam()
    chosen = replace(chosen, learning_rate=LEARNING_RATE)
    choice = EngineChoice("compiled" if compiled else "numpy")
    spec = TrainingSpec(CrossEntropy(), UpdateSpec(chosen), Constant(), work.batch_size, epochs=1_000_000)
    n_threads, members = training_threads("auto", choice, [network], work.batch_size), [Member(0, network, len(X))]
    dataset = Dataset(X, y, class_targets=np.eye(n_out, dtype=np.float32))
    state, make_trainer = init_training(members, spec, X.dtype), trainer_maker(choice, 1, n_threads)
    reports = fit(members, spec, dataset, state, make_trainer=make_trainer)
    blas_threads(1).__enter__()  # for the life of this process
    return lambda: next(reports)


def mlp_compiled(work: Work, optimizer: str) -> Epoch:
    """This project with the extra `fast`: the compiled engine."""
    return mlp(work, optimizer, compiled=True)


def sklearn(work: Work, optimizer: str) -> Epoch:
    """scikit-learn: `partial_fit` on all rows is one epoch of shuffled batches."""
    from sklearn.neural_network import MLPClassifier

    X, y = draw_rows(work)
    classes = np.arange(work.sizes[-1])
    model = MLPClassifier(
        work.sizes[1:-1],
        solver=optimizer,
        alpha=0.0,
        batch_size=work.batch_size,
        learning_rate_init=LEARNING_RATE,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        random_state=0,
    )
    return lambda: model.partial_fit(X, y, classes=classes)


def torch(work: Work, optimizer: str, compiled: bool = False) -> Epoch:
    """PyTorch: tensors in memory, `randperm` batches, the fused optimizers; `compiled` adds torch.compile."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    import torch
    from torch import nn

    X, y = map(torch.from_numpy, draw_rows(work))
    torch.manual_seed(0)
    layers = [part for n_in, n_out in pairwise(work.sizes) for part in (nn.Linear(n_in, n_out), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    cost = nn.CrossEntropyLoss()
    parameters = model.parameters()
    if optimizer == "sgd":
        stepper: Any = torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
    else:
        stepper = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)

    def loss_of(X: Any, y: Any) -> Any:
        return cost(model(X), y)

    batch_loss = torch.compile(loss_of) if compiled else loss_of

    def epoch() -> None:
        total = torch.zeros(())
        for rows in torch.randperm(len(X)).split(work.batch_size):
            loss = batch_loss(X[rows], y[rows])
            stepper.zero_grad(set_to_none=True)
            loss.backward()
            stepper.step()
            total += loss.detach()
        total.item()

    return epoch


def torch_compile(work: Work, optimizer: str) -> Epoch:
    """PyTorch with the loss, and so its gradient, through torch.compile."""
    return torch(work, optimizer, compiled=True)


def jax(work: Work, optimizer: str) -> Epoch:
    """JAX: one jitted function for a whole epoch, `lax.scan` over its steps, buffers donated."""
    import jax
    import jax.numpy as jnp

    X, y = map(jnp.asarray, draw_rows(work))
    rng = np.random.default_rng(0)
    parameters = [
        (
            jnp.asarray(rng.standard_normal((n_in, n_out), np.float32) * np.float32((2 / n_in) ** 0.5)),
            jnp.zeros(n_out),
        )
        for n_in, n_out in pairwise(work.sizes)
    ]
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    update = _jax_sgd if optimizer == "sgd" else _jax_adam
    state = (parameters, zeros, jax.tree.map(jnp.zeros_like, zeros), jnp.zeros(()))

    def loss_of(parameters: Any, X: Any, y: Any) -> Any:
        for W, b in parameters[:-1]:
            X = jax.nn.relu(X @ W + b)
        W, b = parameters[-1]
        return -jnp.take_along_axis(jax.nn.log_softmax(X @ W + b), y[:, None], axis=1).mean()

    def step(state: Any, rows: Any) -> Any:
        loss, gradient = jax.value_and_grad(loss_of)(state[0], X[rows], y[rows])
        return update(state, gradient), loss

    def run(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, work.n_rows).reshape(work.steps, work.batch_size)
        state, losses = jax.lax.scan(step, state, order)
        return state, losses.mean()

    jitted = jax.jit(run, donate_argnums=0)
    key = jax.random.key(0)

    def epoch() -> None:
        nonlocal state, key
        key, now = jax.random.split(key)
        state, loss = jitted(state, now)
        loss.block_until_ready()

    return epoch


def _jax_sgd(state: Any, gradient: Any) -> Any:
    import jax

    parameters, velocity, unused, count = state
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
    return jax.tree.map(lambda p, v: p - LEARNING_RATE * v, parameters, velocity), velocity, unused, count


def _jax_adam(state: Any, gradient: Any) -> Any:
    import jax

    parameters, mean, square, count = state
    count += 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)
    rate, root = LEARNING_RATE / (1 - 0.9**count), (1 - 0.999**count) ** -0.5
    parameters = jax.tree.map(
        lambda p, m, s: p - rate * m / (jax.numpy.sqrt(s) * root + 1e-8), parameters, mean, square
    )
    return parameters, mean, square, count


PEERS: dict[str, Callable[[Work, str], Epoch]] = {
    "mlp": mlp,
    "mlp compiled": mlp_compiled,
    "scikit-learn": sklearn,
    "PyTorch eager": torch,
    "torch.compile": torch_compile,
    "JAX": jax,
}


class Worker:
    """A process that trains with one library on request."""

    def __init__(self, peer: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(peer, other), daemon=True)
        self._process.start()

    def prepare(self, work: Work, optimizer: str) -> str:
        """Prepare, compile and warm up; returns "", or the reason if the library is not available."""
        return str(self._ask("prepare", work, optimizer))

    def seconds_per_step(self, at_least: float) -> float:
        """Seconds per step, measured over whole epochs for at least this many seconds."""
        return float(self._ask("run", at_least))

    def product_peak(self) -> float:
        """GFLOP/s of the large product, in NumPy."""
        return float(self._ask("peak"))

    def close(self) -> None:
        """End the process."""
        self._pipe.send(("close",))
        self._process.join()

    def _ask(self, *request: Any) -> Any:
        self._pipe.send(request)
        return self._pipe.recv()


def _nothing() -> None:
    """Placeholder until `prepare` is called."""


def _serve(peer: str, pipe: Any) -> None:
    epoch: Epoch = _nothing
    steps = 1
    while True:
        match pipe.recv():
            case ("prepare", work, optimizer):
                steps, fault = work.steps, ""
                try:
                    epoch = PEERS[peer](work, optimizer)
                    epoch()
                    epoch()
                except Exception as error:  # any error of a library's compiler excludes only that library
                    fault = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                pipe.send(fault)
            case ("run", at_least):
                sleep(PAUSE_SECONDS)  # until the previous library's threads sleep
                epoch()  # not timed, as the caches are full of another library's data
                n_epochs, started = 0, perf_counter()
                while n_epochs == 0 or perf_counter() - started < at_least:
                    epoch()
                    n_epochs += 1
                pipe.send((perf_counter() - started) / (n_epochs * steps))
            case ("peak",):
                pipe.send(product_peak())
            case _:
                return
