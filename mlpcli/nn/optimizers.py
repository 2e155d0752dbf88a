"""Optimizers: update rules that turn a gradient into a direction, each written as in its paper.

`steps.make_step` composes a step as optax does: clip the gradient, apply coupled or decoupled weight decay, compute the
direction, multiply it by the learning rate and by the multiplier of the parameter group, and average the parameters.
The state of a rule is one array of the parameters' shape for each of `state_names`.
"""

from math import sqrt
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

LearningRate = Annotated[float, Setting("Learning rate at the maximum of the schedule.", gt=0)]
CoupledDecay = Annotated[
    float, Setting("L2 penalty: this times each weight is added to its gradient (no biases).", ge=0)
]


class UpdateRule:
    """Interface of an optimizer.

    `direction(g, state, epsilon, scratch)` updates `state` in place from the gradient `g`, which it may overwrite, and
    returns the direction: `g`, `scratch` or an array of `state`, which the caller only reads.
    """

    is_decoupled: ClassVar[bool] = False
    is_scale_free: ClassVar[bool] = True  # whether the direction is invariant to the scale of the gradient
    # Rules with a `matrix_direction`: learning-rate factor of the tensors that are not updated by matrix.
    non_matrix_factor: ClassVar[float | None] = None

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state arrays."""
        return ()

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, scratch: Array) -> Array:
        """The direction; the update subtracts it, times the learning rate."""
        raise NotImplementedError

    def matrix_direction(self, g: Array, momentum: Array, epsilon: float) -> Array:
        """The direction (n_out, n_in) of a weight matrix; may overwrite `g`. For rules with a `non_matrix_factor`."""
        raise NotImplementedError

    def bias_corrections(self, counts: Values) -> tuple[Values, Values]:
        """Factor of the direction, and epsilon, at the steps `counts` (from 1); all (n_steps,)."""
        return np.ones(len(counts)), np.full(len(counts), getattr(self, "epsilon", 0.0))

    def ntk_factors(self, fan_in: int) -> tuple[float, float, float]:
        """Factors of learning rate, epsilon and L2 penalty for training v, w = v / sqrt(fan_in) (Jacot et al. 2018).

        The gradient of v is that of w divided by sqrt(fan_in). A scale-free direction does not depend on that factor,
        and w moves 1 / sqrt(fan_in) as far as v; otherwise it moves 1 / fan_in as far. An L2 penalty on v is one on w
        times fan_in.
        """
        return (1.0 / sqrt(fan_in), sqrt(fan_in), fan_in) if self.is_scale_free else (1.0 / fan_in, 1.0, fan_in)


@options
class SGD(UpdateRule):
    """Stochastic gradient descent with momentum (Polyak) or Nesterov momentum, as in torch."""

    name: Literal["sgd"] = "sgd"
    learning_rate: LearningRate = 0.05
    momentum: Annotated[float, Setting("Momentum: fraction of the previous step that is kept.", ge=0, lt=1)] = 0.0
    nesterov: Annotated[bool, Setting("Nesterov momentum.")] = False
    weight_decay: CoupledDecay = 0.0

    is_scale_free: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, scratch: Array) -> Array:
        # v = momentum v + g; the direction is v, or Nesterov's g + momentum v.
        if not self.momentum:
            return g
        (v,) = state
        v *= self.momentum
        v += g
        if not self.nesterov:
            return v
        np.multiply(v, self.momentum, out=scratch)
        scratch += g
        return scratch


@options
class Adam(UpdateRule):
    """Adam (Kingma & Ba 2015) as in torch: epsilon outside the root, after bias correction; decay coupled as L2."""

    name: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta1: Annotated[float, Setting("Decay rate of the mean gradient.", ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Setting("Decay rate of the mean squared gradient.", ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Setting("Added to the root of the mean squared gradient.", gt=0)] = 1e-8
    weight_decay: CoupledDecay = 0.0

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("gradient_sum", "square_sum")

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, scratch: Array) -> Array:
        # Sums in place of means: m = beta1 m + g, where the mean is (1 - beta1) m, and likewise v = beta2 v + g^2.
        m, v = state
        m *= self.beta1
        m += g
        np.multiply(g, g, out=scratch)
        v *= self.beta2
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += epsilon
        return np.divide(m, scratch, out=scratch)

    def bias_corrections(self, counts: Values) -> tuple[Values, Values]:
        scale = np.sqrt((1.0 - self.beta2**counts) / (1.0 - self.beta2))
        return scale * (1.0 - self.beta1) / (1.0 - self.beta1**counts), scale * self.epsilon


@options
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as in torch."""

    name: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: Annotated[float, Setting("Weights shrink by learning_rate times this at each step.", ge=0)] = 0.01

    is_decoupled: ClassVar[bool] = True


@options
class RMSprop(UpdateRule):
    """RMSprop (Tieleman & Hinton 2012) as in torch: epsilon outside the root, optional momentum on the scaled step."""

    name: Literal["rmsprop"] = "rmsprop"
    learning_rate: LearningRate = 0.001
    decay: Annotated[float, Setting("Decay rate of the mean squared gradient.", ge=0, lt=1)] = 0.99
    epsilon: Annotated[float, Setting("Added to the root of the mean squared gradient.", gt=0)] = 1e-8
    momentum: Annotated[float, Setting("Momentum: fraction of the previous step that is kept.", ge=0, lt=1)] = 0.0
    weight_decay: CoupledDecay = 0.0

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("square", "velocity") if self.momentum else ("square",)

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, scratch: Array) -> Array:
        # v = decay v + (1 - decay) g^2; the direction is g / (sqrt(v) + epsilon), or its running sum.
        v, *velocity = state
        np.multiply(g, g, out=scratch)
        scratch *= 1.0 - self.decay
        v *= self.decay
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += epsilon
        np.divide(g, scratch, out=scratch)
        if not velocity:
            return scratch
        (u,) = velocity
        u *= self.momentum
        u += scratch
        return u


@options
class Adagrad(UpdateRule):
    """Adagrad (Duchi et al. 2011) as in torch: the step is divided by the root of the sum of all squared gradients."""

    name: Literal["adagrad"] = "adagrad"
    learning_rate: LearningRate = 0.01
    epsilon: Annotated[float, Setting("Added to the root of the sum.", gt=0)] = 1e-10
    weight_decay: CoupledDecay = 0.0

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("square_sum",)

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, scratch: Array) -> Array:
        (v,) = state
        np.multiply(g, g, out=scratch)
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += epsilon
        return np.divide(g, scratch, out=scratch)


@options
class Muon(AdamW):
    """Muon (Jordan et al. 2024): steps along the orthogonalized momentum of each hidden weight matrix.

    Its singular values become about 1, so that every direction of a matrix moves alike. The last layer, biases,
    embeddings and other tensors are trained by AdamW.
    """

    name: Literal["muon"] = "muon"  # type: ignore[assignment]
    learning_rate: LearningRate = 0.02
    momentum: Annotated[float, Setting("Decay rate of the mean gradient of a matrix.", ge=0, lt=1)] = 0.95
    nesterov: Annotated[bool, Setting("Nesterov momentum.")] = True
    adamw_factor: Annotated[
        float, Setting("Learning rate of the tensors that AdamW trains, as a fraction of learning_rate.", gt=0)
    ] = 0.05
    beta2: Annotated[float, Setting("AdamW: decay rate of the mean squared gradient.", ge=0, lt=1)] = 0.95

    @property
    def non_matrix_factor(self) -> float:  # type: ignore[override]
        return self.adamw_factor

    def matrix_direction(self, g: Array, momentum: Array, epsilon: float) -> Array:
        # m = momentum m + (1 - momentum) g; the direction is m, or Nesterov's (1 - momentum) g + momentum m.
        g *= 1.0 - self.momentum
        momentum *= self.momentum
        momentum += g
        return orthogonalized(g + self.momentum * momentum if self.nesterov else momentum, epsilon)


# Coefficients of the quintic iteration of Jordan et al. (2024): steep at 0, it maps singular values to between 0.7 and
# 1.2 in five steps. NORM_EPSILON is added to the norm; torch.optim.Muon takes the larger of both.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
NORM_EPSILON = 1e-7


def orthogonalized(G: Array, epsilon: float = 1.0) -> Array:
    """Approximately U V^T of G = U S V^T (n_out, n_in), by Newton-Schulz iteration, as a new array.

    `epsilon` multiplies NORM_EPSILON. X = a X + (b A + c A^2) X with A = X X^T, of G or its transpose, so that A is the
    smaller Gram matrix.
    """
    X = G.T if G.shape[0] > G.shape[1] else G
    X = X / (np.linalg.norm(X) + NORM_EPSILON * epsilon)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        A = X @ X.T
        B = A @ A
        B *= c
        A *= b
        B += A
        Y = B @ X
        X *= a
        X += Y
    return X.T if G.shape[0] > G.shape[1] else X


Optimizer = SGD | Adam | AdamW | RMSprop | Adagrad | Muon
