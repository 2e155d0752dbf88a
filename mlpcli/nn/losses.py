"""Cost functions. The cost of a batch is the weighted mean over its rows of the loss of a row.

Each loss is a frozen options class that is computed in one of two ways:

- `values(a, y)` (n_rows,) and `gradient(a, y, out)` = d loss / d a, for any output activation, by the chain rule;
- `losses_and_delta(z, y, delta)` for `canonical_activation`: the loss of each row from logits, which avoids the
  rounding of probabilities, and d loss / d z. That is a - y for the likelihoods: softmax with cross entropy, sigmoid
  with binary cross entropy, exp with Poisson.

Targets of a softmax must sum to 1 in each row. `label_smoothing` is applied to the target rows, not here; `auto` is
resolved before training, because it depends on the metric.

The loss of a row is a sum over outputs, not a mean. Logarithms of outputs are continued by their tangent below `TINY`,
so that an output activation that may be negative (cross_entropy on tanh, say) has a finite loss and gradient.
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


class LossFunction:
    """Interface of a loss; `losses_and_delta` is here that of the canonical activation identity."""

    canonical_activation: ClassVar[str] = "identity"

    def values(self, a: Array, y: Array) -> Array:
        """Loss of each row (n_rows,)."""
        raise NotImplementedError

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        """Write d loss / d a into `out` (n_rows, n_out)."""
        raise NotImplementedError

    def losses_and_delta(self, z: Array, y: Array, delta: Array) -> Array:
        """Loss of each row (n_rows,) from logits `z`, with d loss / d z written into `delta` (n_rows, n_out)."""
        self.gradient(z, y, delta)
        return self.values(z, y)


@options
class CrossEntropy(LossFunction):
    """-sum(y log a): the negative log-likelihood of classes; canonical output activation: softmax."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Smoothing = 0.0

    canonical_activation: ClassVar[str] = "softmax"

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
class BinaryCrossEntropy(LossFunction):
    """-sum(y log a + (1-y) log(1-a)): independent boolean outputs; canonical output activation: sigmoid."""

    name: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    label_smoothing: Smoothing = 0.0

    canonical_activation: ClassVar[str] = "sigmoid"

    def values(self, a: Array, y: Array) -> Array:
        return _row_sums(-y * _log(a) - (1.0 - y) * _log(1.0 - a))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        out[...] = (1.0 - y) / np.maximum(1.0 - a, TINY) - y / np.maximum(a, TINY)

    def losses_and_delta(self, z: Array, y: Array, delta: Array) -> Array:
        # softplus(z) - y z, in this order: the large terms cancel before the small one is added.
        losses = _row_sums((np.maximum(z, 0.0) - y * z) + np.log1p(np.exp(-np.abs(z))))
        logistic(z, delta)
        delta -= y
        return losses


@options
class SquaredError(LossFunction):
    """1/2 sum((a-y)^2), the textbook's quadratic cost; canonical output activation: identity."""

    name: Literal["squared_error"] = "squared_error"

    def values(self, a: Array, y: Array) -> Array:
        return 0.5 * _row_sums(np.square(a - y))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.subtract(a, y, out=out)


@options
class AbsoluteError(LossFunction):
    """sum(|a-y|): fits the median; canonical output activation: identity."""

    name: Literal["absolute_error"] = "absolute_error"

    def values(self, a: Array, y: Array) -> Array:
        return _row_sums(np.abs(a - y))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        np.subtract(a, y, out=out)
        np.sign(out, out=out)


@options
class Huber(LossFunction):
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
class Poisson(LossFunction):
    """sum(a - y log a): the Poisson negative log-likelihood of counts; canonical output activation: exp."""

    name: Literal["poisson"] = "poisson"

    canonical_activation: ClassVar[str] = "exp"

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
class Quantile(LossFunction):
    """Pinball loss: fits a quantile of y (Koenker & Bassett 1978); canonical output activation: identity.

    With three quantiles the network has an output for each, and the loss is the sum. The outputs of the first quantile,
    one per target, come before those of the second; `y` repeats the targets for each.
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
    def predicted_quantile(self) -> float:
        """The quantile that is the prediction."""
        return self.quantile[1] if isinstance(self.quantile, tuple) else self.quantile

    @property
    def output_quantiles(self) -> tuple[float, ...]:
        """The three quantiles that have an output each; () for a single quantile."""
        return self.quantile if isinstance(self.quantile, tuple) else ()

    def quantile_by_output(self, n_out: int) -> NDArray[np.float64]:
        """The quantile of each output (n_out,)."""
        quantiles = self.output_quantiles or (self.predicted_quantile,)
        return np.repeat(np.asarray(quantiles, np.float64), n_out // len(quantiles))

    def values(self, a: Array, y: Array) -> Array:
        error, quantiles = y - a, self.quantile_by_output(a.shape[1]).astype(a.dtype)
        return _row_sums(np.maximum(quantiles * error, (quantiles - 1.0) * error))

    def gradient(self, a: Array, y: Array, out: Array) -> None:
        out[...] = (a > y) - self.quantile_by_output(a.shape[1])


Loss = CrossEntropy | BinaryCrossEntropy | SquaredError | AbsoluteError | Huber | Poisson | Quantile


def _log(a: Array) -> Array:
    """log(a), continued by its tangent below TINY."""
    logs: Array = np.log(np.maximum(a, TINY)) + np.minimum(a / TINY - 1.0, 0.0)
    return logs


def _row_sums(values: Array) -> Array:
    sums: Array = np.einsum("ij->i", values)
    return sums
