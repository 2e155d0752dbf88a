"""Optimizers: frozen options, a state of arrays, and an update of the flat parameter vector in place.

Each optimizer has `start(flat) -> state` and `update(block, learning_rate, step, decay)`, which takes a step on one
block of the vectors; `stepping.bind` makes a whole step of that. `flat` and `grad` are (n_parameters,), weights first,
so weight decay touches the leading weights only; a step uses up `grad`. The state is a dict of arrays: it is saved and
restored as it is.
"""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.blocks import Block
from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
State = dict[str, NDArray[Any]]

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

    def update(self, block: Block, learning_rate: float, step: int, decay: float) -> None:
        """One step in place: v = momentum*v + g; flat -= learning_rate * (v, or g + momentum*v for Nesterov)."""
        g, change = block.grad, block.scratch
        learning_rate *= block.rate
        if self.weight_decay:
            _add_decay(block, self.weight_decay * decay)
        if self.momentum:
            v = block.state["velocity"]
            v *= self.momentum
            v += g
            if self.nesterov:
                np.multiply(v, self.momentum, out=change)
                change += g
                change *= learning_rate
            else:
                np.multiply(v, learning_rate, out=change)
        else:
            np.multiply(g, learning_rate, out=change)
        np.subtract(block.flat, change, out=block.flat)


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

    def update(self, block: Block, learning_rate: float, step: int, decay: float) -> None:
        """One step in place."""
        if self.weight_decay:
            _add_decay(block, self.weight_decay * decay)
        _adam_step(block, learning_rate, step, self)


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

    def update(self, block: Block, learning_rate: float, step: int, decay: float) -> None:
        """One step in place."""
        shrinking = learning_rate * block.decay_rate * self.weight_decay * decay
        np.multiply(block.weights, 1.0 - shrinking, out=block.weights)
        _adam_step(block, learning_rate, step, self)


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

    def update(self, block: Block, learning_rate: float, step: int, decay: float) -> None:
        """One step in place."""
        if self.weight_decay:
            _add_decay(block, self.weight_decay * decay)
        change, learning_rate = block.scratch, learning_rate * block.rate
        square = block.state["square"]
        _track_square(square, block.grad, self.decay, change)
        np.sqrt(square, out=change)
        change += self.epsilon * block.epsilon
        np.divide(block.grad, change, out=change)
        if self.momentum:
            v = block.state["velocity"]
            v *= self.momentum
            v += change
            np.multiply(v, learning_rate, out=change)
        else:
            change *= learning_rate
        np.subtract(block.flat, change, out=block.flat)


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

    def update(self, block: Block, learning_rate: float, step: int, decay: float) -> None:
        """One step in place."""
        if self.weight_decay:
            _add_decay(block, self.weight_decay * decay)
        change, learning_rate = block.scratch, learning_rate * block.rate
        square_sum = block.state["square_sum"]
        np.multiply(block.grad, block.grad, out=change)
        square_sum += change
        np.sqrt(square_sum, out=change)
        change += self.epsilon * block.epsilon
        np.divide(block.grad, change, out=change)
        change *= learning_rate
        np.subtract(block.flat, change, out=block.flat)


Optimizer = SGD | Adam | AdamW | RMSprop | Adagrad


def _state(flat: Array, *names: str) -> State:
    return {"step": np.zeros((), np.int64)} | {name: np.zeros_like(flat) for name in names}


def _add_decay(block: Block, weight_decay: float) -> None:
    n = block.weights.size
    np.multiply(block.weights, weight_decay, out=block.scratch[:n])
    block.grad[:n] += block.scratch[:n]


def _track_square(square: Array, grad: Array, decay: float, scratch: Array) -> None:
    np.multiply(grad, grad, out=scratch)
    scratch *= 1.0 - decay
    square *= decay
    square += scratch


def _adam_step(block: Block, learning_rate: float, step: int, adam: Adam | AdamW) -> None:
    mean, square, change = block.state["mean"], block.state["square"], block.scratch
    beta1, beta2, epsilon = adam.beta1, adam.beta2, adam.epsilon * block.epsilon
    learning_rate *= block.rate
    np.subtract(block.grad, mean, out=change)
    change *= 1.0 - beta1
    mean += change
    _track_square(square, block.grad, beta2, change)
    # mean / c1 / (root / c2 + epsilon), with the corrections c1 and c2 taken out of the vectors: one pass less.
    correction = float(np.sqrt(1.0 - beta2**step))
    np.sqrt(square, out=change)
    change += epsilon * correction
    np.divide(mean, change, out=change)
    change *= learning_rate * correction / (1.0 - beta1**step)
    np.subtract(block.flat, change, out=block.flat)
