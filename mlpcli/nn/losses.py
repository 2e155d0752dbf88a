"""Cost functions. The cost of a batch is the weighted mean over its rows of the loss of a row.

Each loss is a frozen options class with two ways in:

- `values(a, y)` (n_rows,) and `gradient(a, y, out)` = d loss / d a, for any output activation through the chain rule;
- `losses_and_delta(z, y, delta)` for `partner`, the canonical output activation: the losses of the rows from logits,
  which keep the digits that probabilities lose, and d loss / d z. That is a - y for the likelihoods: softmax with cross
  entropy, sigmoid with binary cross entropy, exp with Poisson.

Their targets must sum to 1 over softmax outputs, smoothed or not: `label_smoothing` is an option of the loss, but it is
the target rows that are made with it. A loss that trains has a number there: `auto` needs to know the metric.

A row's loss is summed over outputs, not averaged. Logarithms of outputs are continued by their tangent below `TINY`, so
that a pair without a guarantee of positive outputs (cross_entropy on tanh, say) still has a value and a gradient
everywhere.
"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.activations import MOST_NEGATIVE, logistic
from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]

TINY = 1e-7

Smoothing = Annotated[
    Literal["auto"] | Annotated[float, Setting("A fraction.", ge=0, lt=1)],
    Setting(
        "Fraction of the target that is spread over all classes (Szegedy et al. 2016); auto is 0.1 where the metric "
        "of early stopping scores labels, as accuracy does, and 0 where it is the loss or scores probabilities."
    ),
]


class Cost:
    """What every cost function has; the way from logits is here that of the partner identity."""

    partner: ClassVar[str] = "identity"

    def values(self, a: Array, y: Array) -> Array:
        """Loss of each row (n_rows,)."""
        raise NotImplementedError

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        """d loss / d a into `out` (n_rows, n_out)."""
        raise NotImplementedError

    def losses_and_delta(self, z: Array, y: Array, delta: Array) -> Array:
        """Loss of each row (n_rows,) on the partner of logits `z`; d loss / d z into `delta` (n_rows, n_out)."""
        self.gradient(z, y, delta)
        return self.values(z, y)


@options
class CrossEntropy(Cost):
    """-sum(y log a): the negative log-likelihood of classes; canonical output activation: softmax."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Smoothing = 0.0

    partner: ClassVar[str] = "softmax"

    def values(self, a: Array, y: Array) -> Array:
        return _row_sums(-y * _log(a))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.maximum(a, TINY, out=out)
        np.divide(y, out, out=out)
        np.negative(out, out=out)

    def losses_and_delta(self, z: Array, y: Array, delta: Array) -> Array:
        # With s = z - max(z): log(sum(exp(s))) sum(y) - sum(y s).
        s = np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=delta)
        losses = -np.einsum("ij,ij->i", y, s)
        np.maximum(s, MOST_NEGATIVE, out=s)
        total = np.add.reduce(np.exp(s, out=s), axis=1)
        delta /= total[:, None]
        delta -= y
        losses += np.log(total) * _row_sums(y)
        return losses  # type: ignore[no-any-return]


@options
class BinaryCrossEntropy(Cost):
    """-sum(y log a + (1-y) log(1-a)): independent boolean outputs; canonical output activation: sigmoid."""

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Smoothing = 0.0

    partner: ClassVar[str] = "sigmoid"

    def values(self, a: Array, y: Array) -> Array:
        return _row_sums(-y * _log(a) - (1.0 - y) * _log(1.0 - a))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        out[...] = (1.0 - y) / np.maximum(1.0 - a, TINY) - y / np.maximum(a, TINY)

    def losses_and_delta(self, z: Array, y: Array, delta: Array) -> Array:
        # softplus(z) - y z, in this order: the large parts cancel before the small one is added.
        losses = _row_sums((np.maximum(z, 0.0) - y * z) + np.log1p(np.exp(-np.abs(z))))
        logistic(z, delta)
        delta -= y
        return losses


@options
class SquaredError(Cost):
    """1/2 sum((a-y)^2), the textbook's quadratic cost; canonical output activation: identity."""

    name: Literal["squared_error"] = "squared_error"

    def values(self, a: Array, y: Array) -> Array:
        return 0.5 * _row_sums(np.square(a - y))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.subtract(a, y, out=out)


@options
class AbsoluteError(Cost):
    """sum(|a-y|): fits the median; canonical output activation: identity."""

    name: Literal["absolute_error"] = "absolute_error"

    def values(self, a: Array, y: Array) -> Array:
        return _row_sums(np.abs(a - y))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.subtract(a, y, out=out)
        np.sign(out, out=out)


@options
class Huber(Cost):
    """Squared error up to `delta`, absolute error beyond (Huber 1964); canonical output activation: identity."""

    name: Literal["huber"] = "huber"
    delta: Annotated[float, Setting("Error beyond which the loss is linear, on the transformed target.", gt=0)] = 1.0

    def values(self, a: Array, y: Array) -> Array:
        error = np.abs(a - y)
        near = np.minimum(error, self.delta)
        return _row_sums(near * (error - 0.5 * near))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.subtract(a, y, out=out)
        np.clip(out, -self.delta, self.delta, out=out)


@options
class Poisson(Cost):
    """sum(a - y log a): the Poisson negative log-likelihood of counts; canonical output activation: exp."""

    name: Literal["poisson"] = "poisson"

    partner: ClassVar[str] = "exp"

    def values(self, a: Array, y: Array) -> Array:
        return _row_sums(a - y * _log(a))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.maximum(a, TINY, out=out)
        np.divide(y, out, out=out)
        np.subtract(1.0, out, out=out)

    def losses_and_delta(self, z: Array, y: Array, delta: Array) -> Array:
        a = np.exp(z)
        np.subtract(a, y, out=delta)
        return _row_sums(a - y * z)


Level = Annotated[float, Setting("A quantile.", gt=0, lt=1)]


@options
class Quantile(Cost):
    """Pinball loss: fits a quantile of y (Koenker & Bassett 1978); canonical output activation: identity.

    Of three quantiles the network has an output for each, and the loss is the sum. The outputs of the first quantile,
    one for each target, stand before those of the second; `y` repeats the targets for each.
    """

    name: Literal["quantile"] = "quantile"
    quantile: Annotated[
        Level | tuple[Level, Level, Level],
        Setting(
            "Quantile to predict. Of three in increasing order, the second is predicted, and the outer two are the "
            "ends of intervals."
        ),
    ] = 0.5

    @property
    def answered(self) -> float:
        """The quantile that answers are."""
        return self.quantile[1] if isinstance(self.quantile, tuple) else self.quantile

    @property
    def several(self) -> tuple[float, ...]:
        """The quantiles that each have an output, () where it is only one."""
        return self.quantile if isinstance(self.quantile, tuple) else ()

    def levels(self, n_out: int) -> NDArray[np.float64]:
        """The quantile of each output (n_out,)."""
        levels = self.several or (self.answered,)
        return np.repeat(np.asarray(levels, np.float64), n_out // len(levels))

    def values(self, a: Array, y: Array) -> Array:
        error, levels = y - a, self.levels(a.shape[1]).astype(a.dtype)
        return _row_sums(np.maximum(levels * error, (levels - 1.0) * error))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        out[...] = (a > y) - self.levels(a.shape[1])


Loss = CrossEntropy | BinaryCrossEntropy | SquaredError | AbsoluteError | Huber | Poisson | Quantile


def _log(a: Array) -> Array:
    """log(a), continued below TINY by its tangent."""
    logs: Array = np.log(np.maximum(a, TINY)) + np.minimum(a / TINY - 1.0, 0.0)
    return logs


def _row_sums(values: Array) -> Array:
    sums: Array = np.einsum("ij->i", values)
    return sums
