"""From network outputs to probabilities, and their calibration by a temperature."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def class_probabilities(outputs: Values, n_classes: int) -> Values:
    """Probabilities (n_rows, n_classes) from outputs (n_rows, n_classes), or (n_rows, 1) for the second of two classes.

    Rows that sum to 1 are kept; others (sigmoid outputs) are clipped at 0 and divided by their sum, or uniform when all
    are 0.
    """
    if outputs.shape[1] == 1 and n_classes == 2:
        return no_and_yes(outputs[:, 0])
    ones = np.ones(outputs.shape[1])  # a product with them is quicker than a sum along short rows
    sum_to_one = (np.abs(outputs @ ones - 1.0) <= 1e-5) & ((outputs < 0.0) @ ones == 0.0)
    if sum_to_one.all():
        return outputs
    shares = np.maximum(outputs, 0.0) + (outputs.max(axis=1, keepdims=True) <= 0.0)
    return np.where(sum_to_one[:, None], outputs, shares / shares.sum(axis=1, keepdims=True))


def no_and_yes(yes: Values) -> Values:
    """Probabilities of no and yes on a new last axis, from those of yes, which are clipped to 0 and 1."""
    yes = np.clip(yes, 0.0, 1.0)
    return np.stack([1.0 - yes, yes], axis=-1)


def unweighted(probabilities: Values, class_weights: Values) -> Values:
    """Take the class weights of the training out of its probabilities: p / w, divided by the sum.

    Weighted training estimates w p / sum(w p) (Elkan 2001, "The foundations of cost-sensitive learning", theorem 2).
    """
    corrected = probabilities / class_weights
    return np.asarray(corrected / corrected.sum(axis=-1, keepdims=True))


def most_exceeding(probabilities: Values, threshold: Values | None) -> NDArray[np.int64]:
    """The class of each row: the most probable one; of two classes the second above `threshold` (1,).

    With thresholds (n_classes,) it is the class of the largest p / threshold, the first of equals.
    """
    if threshold is None:
        return np.asarray(probabilities.argmax(axis=1))
    if len(threshold) == 1:
        return np.asarray(probabilities[:, 1] > threshold[0], np.int64)
    return np.asarray((probabilities / threshold).argmax(axis=1))


def tempered(probabilities: Values, temperature: float) -> Values:
    """p^(1/T), divided by the sum over the last axis: what dividing the logits by T gives (Guo et al. 2017).

    It needs no logits, so averages of several networks can be calibrated too. 0 stays 0.
    """
    if temperature == 1.0:
        return probabilities
    with np.errstate(divide="ignore"):
        powers = np.log(probabilities) / temperature
    powers -= powers.max(axis=-1, keepdims=True)  # the largest becomes 1: no sum is 0
    np.exp(powers, out=powers)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
