"""Kinds of rows whose true scores are known: in closed form, or from a sample that is huge beside those judged.

Two models see the same truth with noise of their own, of one distribution: they are equally good.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.metrics.registry import Task
from mlpcli.evaluation.metrics.scores import score_classes, score_multilabel, score_numbers

Generator = np.random.Generator
Values = NDArray[Any]
N_TRUTH, CELLS_OF_TRUTH = 1_000_000, 15_000_000  # rows, and rows times classes
SCORE_ALL = {"classification": score_classes, "regression": score_numbers, "multilabel": score_multilabel}


@dataclass(frozen=True)
class Rows:
    """Truth, the predictions of one model or two, and weights or None."""

    y: Values
    predictions: list[Values]
    weights: Values | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of rows: `draw(rng, n_rows, n_models, n_parts)`, with classes or outputs `n_parts(n_rows)`.

    `exact` are true scores by closed form, of so many parts.
    """

    text: str
    task: Task
    draw: Callable[[Generator, int, int, int], Rows]
    n_parts: Callable[[int], int] = lambda n_rows: 2
    exact: Callable[[int], Mapping[str, float]] = field(default=lambda n_parts: {})

    def names(self, n_rows: int) -> tuple[str, ...]:
        """The labels, outputs or columns."""
        return tuple(f"c{part}" for part in range(self.n_parts(n_rows)))

    def truth(self, n_rows: int) -> dict[str, float]:
        """The true scores of rows of which samples have `n_rows`."""
        return _truth(self, self.n_parts(n_rows))


@cache
def _truth(kind: Kind, n_parts: int) -> dict[str, float]:
    n_rows = min(N_TRUTH, CELLS_OF_TRUTH // n_parts)
    rows = kind.draw(np.random.default_rng(2**32), n_rows, 1, n_parts)
    names = tuple(f"c{part}" for part in range(n_parts))
    scores = SCORE_ALL[kind.task](rows.y, rows.predictions[0], names, rows.weights)
    return {key: value for key, value in scores.items() if "[" not in key} | dict(kind.exact(n_parts))


def _logistic(z: Values) -> Values:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


def _two(p: Values) -> Values:
    return np.column_stack([1.0 - p, p])


def _two_classes(slope: float, shift: float, spread: float = 0.5, weights: float = 0.0) -> Callable[..., Rows]:
    """P(y = 1) is logistic in x; a model knows x with noise, and is as sure as if it knew x."""

    def draw(rng: Generator, n_rows: int, n_models: int, n_parts: int) -> Rows:
        x = rng.normal(size=n_rows)
        y = (rng.random(n_rows) < _logistic(slope * x + shift)).astype(np.int64)
        seen = [x + spread * rng.normal(size=n_rows) for _ in range(n_models)]
        own = np.exp(weights * (rng.normal(size=n_rows) + 0.5 * x)) if weights else None
        return Rows(y, [_two(_logistic(slope * one + shift)) for one in seen], own)

    return draw


def _several_classes(rates: Callable[[int], Values], strength: float) -> Callable[..., Rows]:
    """A normal score for each class, of which that of the true one is higher by `strength`."""

    def draw(rng: Generator, n_rows: int, n_models: int, n_parts: int) -> Rows:
        y = rng.choice(n_parts, size=n_rows, p=rates(n_parts))
        predictions = []
        for _ in range(n_models):
            z = rng.normal(size=(n_rows, n_parts))
            z[np.arange(n_rows), y] += strength
            np.exp(z, out=z)
            z /= z.sum(axis=1, keepdims=True)
            predictions.append(z)
        return Rows(y, predictions)

    return draw


def _right_of_many(strength: float) -> Callable[[int], Mapping[str, float]]:
    """The chance that the true one of so many equally frequent classes has the highest score; by symmetry F1 too."""

    def exact(n_parts: int) -> Mapping[str, float]:
        x = np.linspace(-9.0, 9.0 + strength, 20_001)
        below = np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in x])
        density = np.exp(-((x - strength) ** 2) / 2) / math.sqrt(2 * math.pi)
        right = float(np.trapezoid(density * below ** (n_parts - 1), x))
        shares = ("accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")
        return dict.fromkeys(shares, right)

    return exact


def _booleans(rng: Generator, n_rows: int, n_models: int, n_parts: int) -> Rows:
    y = rng.random((n_rows, n_parts)) < np.array([0.5, 0.2, 0.1])
    return Rows(y, [_logistic(2.5 * y - 1.5 + rng.normal(size=y.shape)) for _ in range(n_models)])


def _numbers(
    draw_error: Callable[[Generator, tuple[int, int]], Values], weights: float = 0.0, level: float = 0.0
) -> Callable[..., Rows]:
    """y = 2 x + error, of which a model tells 2 x with noise."""

    def draw(rng: Generator, n_rows: int, n_models: int, n_parts: int) -> Rows:
        signal = level + 2.0 * rng.normal(size=(n_rows, n_parts))
        if level:
            signal = level + np.abs(signal - level)
        y = signal + draw_error(rng, signal.shape)
        own = np.exp(weights * (rng.normal(size=n_rows) + 0.25 * (signal[:, 0] - level))) if weights else None
        return Rows(y, [signal + 0.5 * rng.normal(size=signal.shape) for _ in range(n_models)], own)

    return draw


def _money(rng: Generator, n_rows: int, n_models: int, n_parts: int) -> Rows:
    """Lognormal amounts with relative errors."""
    expected = np.exp(rng.normal(size=(n_rows, n_parts)))
    y = expected * np.exp(0.7 * rng.normal(size=expected.shape) - 0.245)
    return Rows(y, [expected * np.exp(0.2 * rng.normal(size=expected.shape) - 0.02) for _ in range(n_models)])


def _exact_money(n_parts: int) -> Mapping[str, float]:
    square = math.exp(2.0) * (math.exp(0.49) - 2.0 + math.exp(0.04))
    return {"rmse": math.sqrt(square), "r2": 1.0 - square / (math.exp(2.49) - math.e)}


NO_MEAN = {"mape": math.inf}  # of a truth whose density at 0 is not 0
KINDS = {
    "two classes": Kind("one of three rows is of the second class", "classification", _two_classes(1.5, -1.0)),
    "accurate": Kind("92 of 100 predictions are right", "classification", _two_classes(12.0, 0.0, 0.2)),
    "rare class": Kind("one of twenty rows is of the second class", "classification", _two_classes(2.0, -4.2, 0.3)),
    "weighted": Kind(
        "two classes; lognormal weights that depend on the row", "classification", _two_classes(1.5, -1.0, 0.5, 0.7)
    ),
    "four classes": Kind(
        "50, 30, 15 and 5 of 100 rows",
        "classification",
        _several_classes(lambda n_parts: np.array([0.5, 0.3, 0.15, 0.05]), 2.0),
        lambda n_rows: 4,
    ),
    "many classes": Kind(
        "5, 16, 150 and 40 classes, of 6, 6, 7 and 250 rows",
        "classification",
        _several_classes(lambda n_parts: np.full(n_parts, 1 / n_parts), 3.4),
        lambda n_rows: min(n_rows // 6, 150) if n_rows < 10_000 else 40,
        _right_of_many(3.4),
    ),
    "boolean columns": Kind("true in 50, 20 and 10 of 100 rows", "multilabel", _booleans, lambda n_rows: 3),
    "normal": Kind(
        "normal errors; the truth crosses 0",
        "regression",
        _numbers(lambda rng, shape: rng.normal(size=shape)),
        lambda n_rows: 1,
        lambda n_parts: NO_MEAN,
    ),
    "skewed": Kind(
        "exponential errors; the truth is above 1",
        "regression",
        _numbers(lambda rng, shape: rng.exponential(size=shape) - 1.0, level=2.0),
        lambda n_rows: 1,
    ),
    "heavy tails": Kind(
        "Student's t errors with 3 degrees of freedom",
        "regression",
        _numbers(lambda rng, shape: rng.standard_t(3.0, size=shape)),
        lambda n_rows: 1,
        lambda n_parts: {"rmse": math.sqrt(3.25), "r2": 1.0 - 3.25 / 7.0, **NO_MEAN},
    ),
    "money": Kind("lognormal values, relative errors", "regression", _money, lambda n_rows: 1, _exact_money),
    "weighted numbers": Kind(
        "normal errors; lognormal weights that depend on the row",
        "regression",
        _numbers(lambda rng, shape: rng.normal(size=shape), weights=0.7, level=2.0),
        lambda n_rows: 1,
    ),
    "two outputs": Kind(
        "normal errors of two outputs",
        "regression",
        _numbers(lambda rng, shape: rng.normal(size=shape) * np.array([1.0, 3.0]), level=2.0),
        lambda n_rows: 2,
    ),
}
