"""Intervals and comparisons of samples of each kind, counted."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.coverage.kinds import KINDS, SCORE_ALL, Kind
from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.metrics.scores import metric_names, score_inputs
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions, score_intervals
from mlpcli.evaluation.uncertainty.paired import Prediction, Truth, compare_scores

SIZES = (30, 100, 1_000, 10_000)
REPEATS = dict.fromkeys(SIZES, 200)
FEW = 10  # repeats of a quick run
# Of the bootstrap, which is for the median alone; of 10,000 rows fewer than `mlp eval` takes.
REPLICATES = {10_000: 300}
CONFIDENCE = 0.95
# Resampled in pairs, which takes long.
SLOW_TO_COMPARE = {"median_absolute_error": 100}

Count = dict[str, Any]


def run(quick: bool, only: str | None) -> list[Count]:
    """A count for each kind, number of rows and metric."""
    return [
        count
        for name, kind in KINDS.items()
        if only in (None, name)
        for n_rows in (SIZES[:2] if quick else SIZES)
        for count in _simulate(name, kind, n_rows, FEW if quick else REPEATS[n_rows])
    ]


def _simulate(name: str, kind: Kind, n_rows: int, repeats: int) -> Iterator[Count]:
    truth, names = kind.truth(n_rows), kind.names(n_rows)
    metrics = [key for key in metric_names(kind.task, names) if "[" not in key and METRICS[key].has_interval]
    found = {metric: dict.fromkeys(("given", "below", "above", "compared", "better", "worse"), 0) for metric in metrics}
    interval_options = IntervalOptions(CONFIDENCE, REPLICATES.get(n_rows))
    for repeat in range(repeats):
        rows = kind.draw(np.random.default_rng([n_rows, repeat]), n_rows, 2, len(names))
        scores = SCORE_ALL[kind.task](rows.y, rows.predictions[0], names, rows.weights)
        wanted = {metric: scores[metric] for metric in metrics}
        inputs = score_inputs(kind.task, rows.y, rows.predictions[0], rows.weights, None)
        intervals = score_intervals(kind.task, inputs, names, wanted, interval_options, np.random.default_rng(0))
        for metric, interval in intervals.items():
            found[metric]["given"] += not math.isnan(interval.low)
            found[metric]["below"] += truth[metric] < interval.low
            found[metric]["above"] += truth[metric] > interval.high
        compared = [metric for metric in metrics if n_rows <= SLOW_TO_COMPARE.get(metric, n_rows)]
        models = [Prediction(np.asarray(one, np.float64)) for one in rows.predictions]
        for one in compare_scores(Truth(kind.task, rows.y, names, rows.weights), *models, compared, CONFIDENCE, {}):
            found[one.metric]["compared"] += not one.reason
            found[one.metric]["better"] += one.verdict == "better"
            found[one.metric]["worse"] += one.verdict == "worse"
    for metric, counts in found.items():
        value = truth[metric] if math.isfinite(truth[metric]) else None
        yield {"kind": name, "rows": n_rows, "metric": metric, "true": value, "repeats": repeats, **counts}
