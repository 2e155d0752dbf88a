"""Optimizers: rules that turn a gradient into a direction, each written as in its paper.

A step is composed as in optax: clip the gradient, add coupled weight decay or shrink the weights (decoupled), let the
rule find the direction, multiply it by the learning rate and by the multiplier of the parameter group, and average the
parameters (`steps.make_step`). The state of a rule is one array like the parameters for each of `state_names`.
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


class Rule:
    """What every optimizer has.

    `direction(g, state, epsilon, spare)` updates `state` in place by the gradient `g`, which it may use up, and returns
    the direction, in `g` or `spare`.
    """

    is_decoupled: ClassVar[bool] = False
    is_scale_free: ClassVar[bool] = True  # whether a direction does not grow with the gradient
    other_factor: ClassVar[float | None] = None  # of a rule that goes by matrix, of the rate of all other tensors

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the arrays that are kept from step to step."""
        return ()

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, spare: Array) -> Array:
        """The direction; parameters move against it."""
        raise NotImplementedError

    def matrix_direction(self, g: Array, momentum: Array, epsilon: float) -> Array:
        """The direction (n_out, n_in) of a whole matrix, of a rule with `other_factor`; it may use up `g`."""
        raise NotImplementedError

    def factors(self, counts: Values) -> tuple[Values, Values]:
        """What multiplies the direction and epsilon at these steps, counted from 1; all (n_steps,)."""
        return np.ones(len(counts)), np.full(len(counts), getattr(self, "epsilon", 0.0))

    def ntk(self, fan_in: int) -> tuple[float, float, float]:
        """Factors of rate, epsilon and coupled decay by which w moves as v does, w = v / sqrt(fan_in) (Jacot 2018).

        The gradient of v is that of w over sqrt(fan_in), plus the decay times v. A direction that does not grow with
        the gradient loses that factor, and w moves 1 / sqrt(fan_in) as far as v; else it moves 1 / fan_in as far. In
        the gradient of w, the decay of v is that of w times fan_in.
        """
        return (1.0 / sqrt(fan_in), sqrt(fan_in), fan_in) if self.is_scale_free else (1.0 / fan_in, 1.0, fan_in)


@options
class SGD(Rule):
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

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, spare: Array) -> Array:
        # v = momentum v + g; the direction is v, or Nesterov's g + momentum v.
        if not self.momentum:
            return g
        (v,) = state
        v *= self.momentum
        v += g
        if not self.nesterov:
            return np.positive(v, out=spare)
        np.multiply(v, self.momentum, out=spare)
        spare += g
        return spare


@options
class Adam(Rule):
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

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, spare: Array) -> Array:
        # The arrays are sums: m = beta1 m + g with mean = (1 - beta1) m, and v = beta2 v + g^2 likewise.
        m, v = state
        m *= self.beta1
        m += g
        np.multiply(g, g, out=spare)
        v *= self.beta2
        v += spare
        np.sqrt(v, out=spare)
        spare += epsilon
        return np.divide(m, spare, out=spare)

    def factors(self, counts: Values) -> tuple[Values, Values]:
        scale = np.sqrt((1.0 - self.beta2**counts) / (1.0 - self.beta2))
        return scale * (1.0 - self.beta1) / (1.0 - self.beta1**counts), scale * self.epsilon


@options
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), as in torch."""

    name: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: Annotated[float, Setting("Weights shrink by learning_rate times this at each step.", ge=0)] = 0.01

    is_decoupled: ClassVar[bool] = True


@options
class RMSprop(Rule):
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

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, spare: Array) -> Array:
        # v = decay v + (1 - decay) g^2; the direction is g / (sqrt(v) + epsilon), or its running sum.
        v, *velocity = state
        np.multiply(g, g, out=spare)
        spare *= 1.0 - self.decay
        v *= self.decay
        v += spare
        np.sqrt(v, out=spare)
        spare += epsilon
        np.divide(g, spare, out=spare)
        for u in velocity:
            u *= self.momentum
            u += spare
            spare[...] = u
        return spare


@options
class Adagrad(Rule):
    """Adagrad (Duchi et al. 2011) as in torch: the step is divided by the root of the sum of all squared gradients."""

    name: Literal["adagrad"] = "adagrad"
    learning_rate: LearningRate = 0.01
    epsilon: Annotated[float, Setting("Added to the root of the sum.", gt=0)] = 1e-10
    weight_decay: CoupledDecay = 0.0

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("square_sum",)

    def direction(self, g: Array, state: tuple[Array, ...], epsilon: float, spare: Array) -> Array:
        (v,) = state
        np.multiply(g, g, out=spare)
        v += spare
        np.sqrt(v, out=spare)
        spare += epsilon
        return np.divide(g, spare, out=spare)


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
    def other_factor(self) -> float:  # type: ignore[override]
        return self.adamw_factor

    def matrix_direction(self, g: Array, momentum: Array, epsilon: float) -> Array:
        # m = momentum m + (1 - momentum) g; the direction is m, or Nesterov's (1 - momentum) g + momentum m.
        g *= 1.0 - self.momentum
        momentum *= self.momentum
        momentum += g
        return orthogonalized(g + self.momentum * momentum if self.nesterov else momentum, epsilon)


# The quintic iteration of Jordan et al. (2024), and what it adds to the norm: steep at 0, it takes singular values to
# between 0.7 and 1.2 in five steps. torch.optim.Muon takes the larger of norm and epsilon in place of their sum.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
NORM_EPSILON = 1e-7


def orthogonalized(G: Array, epsilon: float = 1.0) -> Array:
    """The nearest orthogonal matrix, about: U V^T of G = U S V^T, by Newton-Schulz (n_out, n_in), in a new array.

    `epsilon` multiplies NORM_EPSILON. X = a X + (b A + c A^2) X with A = X X^T, on the side that is shorter.
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
