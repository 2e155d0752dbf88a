"""Optimizers: frozen options, a state of arrays, and an update of the flat parameter vector in place.

Each optimizer has `start(flat) -> state` and `update(flat, grad, state, learning_rate, n_weights)`; `flat` and `grad`
are (n_parameters,), weights first, so weight decay touches `flat[:n_weights]` only. The state is a dict of arrays: it
is saved and restored as it is. Updates run over blocks of `BLOCK` numbers, because a block that stays in the
second-level cache makes Adam on two million parameters a third faster than whole-vector operations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
State = dict[str, NDArray[Any]]

BLOCK = 32_768

# A running average decays by a constant factor and ends in denormal numbers, which are many times slower on every
# x86 core. Sweeping what is below any useful size to zero this often is cheaper than one slow step.
FLUSH_EVERY = 16
NEGLIGIBLE = 1e-30

LearningRate = Annotated[float, Setting("Step size at the top of the schedule.", gt=0)]
CoupledDecay = Annotated[
    float, Setting("L2 penalty: this times each weight is added to its gradient (no biases).", ge=0)
]


@options
class SGD:
    """Stochastic gradient descent with momentum (Polyak) or Nesterov's variant, as torch writes them."""

    name: Literal["sgd"] = "sgd"
    learning_rate: LearningRate = 0.05
    momentum: Annotated[float, Setting("Share of the last step that is kept.", ge=0, lt=1)] = 0.0
    nesterov: Annotated[bool, Setting("Look ahead along the momentum before stepping.")] = False
    weight_decay: CoupledDecay = 0.0

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def start(self, flat: Array) -> State:
        """Fresh state for parameters like `flat`."""
        return _state(flat, "velocity") if self.momentum else _state(flat)

    def update(self, flat: Array, grad: Array, state: State, learning_rate: float, n_weights: int) -> None:
        """One step in place: v = momentum*v + g; flat -= learning_rate * (v, or g + momentum*v for Nesterov)."""
        _begin_step(state)
        for block in _blocks(flat, grad, n_weights):
            g, step = block.grad, block.scratch
            if self.weight_decay:
                _add_decay(block, self.weight_decay)
            if self.momentum:
                v = state["velocity"][block.where]
                v *= self.momentum
                v += g
                if self.nesterov:
                    np.multiply(v, self.momentum, out=step)
                    step += g
                    step *= learning_rate
                else:
                    np.multiply(v, learning_rate, out=step)
            else:
                np.multiply(g, learning_rate, out=step)
            np.subtract(block.flat, step, out=block.flat)


@options
class Adam:
    """Adam (Kingma & Ba 2015) as in torch: epsilon outside the root, after bias correction; decay coupled as L2."""

    name: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta1: Annotated[float, Setting("Memory of the mean gradient.", ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Setting("Memory of the mean squared gradient.", ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Setting("Added to the root of the mean square.", gt=0)] = 1e-8
    weight_decay: CoupledDecay = 0.0

    def start(self, flat: Array) -> State:
        """Fresh state for parameters like `flat`."""
        return _state(flat, "mean", "square")

    def update(self, flat: Array, grad: Array, state: State, learning_rate: float, n_weights: int) -> None:
        """One step in place."""
        _begin_step(state)
        for block in _blocks(flat, grad, n_weights):
            if self.weight_decay:
                _add_decay(block, self.weight_decay)
            _adam_step(block, state, learning_rate, self.beta1, self.beta2, self.epsilon)


@options
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as in torch."""

    name: Literal["adamw"] = "adamw"
    learning_rate: LearningRate = 0.001
    beta1: Annotated[float, Setting("Memory of the mean gradient.", ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Setting("Memory of the mean squared gradient.", ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Setting("Added to the root of the mean square.", gt=0)] = 1e-8
    weight_decay: Annotated[float, Setting("Weights shrink by learning_rate times this at each step.", ge=0)] = 0.01

    def start(self, flat: Array) -> State:
        """Fresh state for parameters like `flat`."""
        return _state(flat, "mean", "square")

    def update(self, flat: Array, grad: Array, state: State, learning_rate: float, n_weights: int) -> None:
        """One step in place."""
        _begin_step(state)
        for block in _blocks(flat, grad, n_weights):
            np.multiply(block.weights, 1.0 - learning_rate * self.weight_decay, out=block.weights)
            _adam_step(block, state, learning_rate, self.beta1, self.beta2, self.epsilon)


@options
class RMSprop:
    """RMSprop (Tieleman & Hinton 2012) as in torch: epsilon outside the root, optional momentum on the scaled step."""

    name: Literal["rmsprop"] = "rmsprop"
    learning_rate: LearningRate = 0.001
    decay: Annotated[float, Setting("Memory of the mean squared gradient.", ge=0, lt=1)] = 0.99
    epsilon: Annotated[float, Setting("Added to the root of the mean square.", gt=0)] = 1e-8
    momentum: Annotated[float, Setting("Share of the last step that is kept.", ge=0, lt=1)] = 0.0
    weight_decay: CoupledDecay = 0.0

    def start(self, flat: Array) -> State:
        """Fresh state for parameters like `flat`."""
        return _state(flat, "square", "velocity") if self.momentum else _state(flat, "square")

    def update(self, flat: Array, grad: Array, state: State, learning_rate: float, n_weights: int) -> None:
        """One step in place."""
        _begin_step(state)
        for block in _blocks(flat, grad, n_weights):
            if self.weight_decay:
                _add_decay(block, self.weight_decay)
            step = block.scratch
            square = state["square"][block.where]
            _track_square(square, block.grad, self.decay, step)
            np.sqrt(square, out=step)
            step += self.epsilon
            np.divide(block.grad, step, out=step)
            if self.momentum:
                v = state["velocity"][block.where]
                v *= self.momentum
                v += step
                np.multiply(v, learning_rate, out=step)
            else:
                step *= learning_rate
            np.subtract(block.flat, step, out=block.flat)


@options
class Adagrad:
    """Adagrad (Duchi et al. 2011) as in torch: the step is divided by the root of the sum of all squared gradients."""

    name: Literal["adagrad"] = "adagrad"
    learning_rate: LearningRate = 0.01
    epsilon: Annotated[float, Setting("Added to the root of the sum.", gt=0)] = 1e-10
    weight_decay: CoupledDecay = 0.0

    def start(self, flat: Array) -> State:
        """Fresh state for parameters like `flat`."""
        return _state(flat, "square_sum")

    def update(self, flat: Array, grad: Array, state: State, learning_rate: float, n_weights: int) -> None:
        """One step in place."""
        _begin_step(state)
        for block in _blocks(flat, grad, n_weights):
            if self.weight_decay:
                _add_decay(block, self.weight_decay)
            step = block.scratch
            square_sum = state["square_sum"][block.where]
            np.multiply(block.grad, block.grad, out=step)
            square_sum += step
            np.sqrt(square_sum, out=step)
            step += self.epsilon
            np.divide(block.grad, step, out=step)
            step *= learning_rate
            np.subtract(block.flat, step, out=block.flat)


Optimizer = SGD | Adam | AdamW | RMSprop | Adagrad


@dataclass(frozen=True, slots=True)
class _Block:
    """One stretch of the flat vectors: views, and scratch of the same length."""

    where: slice
    flat: Array
    grad: Array
    weights: Array  # the part of `flat` that is weights: decay leaves biases alone
    scratch: Array


def _blocks(flat: Array, grad: Array, n_weights: int) -> Iterator[_Block]:
    scratch = np.empty(min(BLOCK, flat.size), flat.dtype)
    for start in range(0, flat.size, BLOCK):
        where = slice(start, min(start + BLOCK, flat.size))
        weights = flat[start : max(start, min(where.stop, n_weights))]
        yield _Block(where, flat[where], grad[where], weights, scratch[: where.stop - start])


def _state(flat: Array, *names: str) -> State:
    return {"step": np.zeros((), np.int64)} | {name: np.zeros_like(flat) for name in names}


def _begin_step(state: State) -> None:
    state["step"] += 1
    if state["step"] % FLUSH_EVERY:
        return
    for name, values in state.items():
        if name != "step":
            values[np.abs(values) < NEGLIGIBLE] = 0.0


def _add_decay(block: _Block, weight_decay: float) -> None:
    n = block.weights.size
    np.multiply(block.weights, weight_decay, out=block.scratch[:n])
    block.grad[:n] += block.scratch[:n]


def _track_square(square: Array, grad: Array, decay: float, scratch: Array) -> None:
    np.multiply(grad, grad, out=scratch)
    scratch *= 1.0 - decay
    square *= decay
    square += scratch


def _adam_step(block: _Block, state: State, learning_rate: float, beta1: float, beta2: float, epsilon: float) -> None:
    count = int(state["step"])
    mean, square, step = state["mean"][block.where], state["square"][block.where], block.scratch
    np.subtract(block.grad, mean, out=step)
    step *= 1.0 - beta1
    mean += step
    _track_square(square, block.grad, beta2, step)
    np.sqrt(square, out=step)
    step *= 1.0 / float(np.sqrt(1.0 - beta2**count))
    step += epsilon
    np.divide(mean, step, out=step)
    step *= learning_rate / (1.0 - beta1**count)
    np.subtract(block.flat, step, out=block.flat)
