"""From runs to ranks, wins and relative errors; plain Python.

A *field* is one metric on one dataset. Each dataset weighs the same: accuracy and log loss count half each. All
numbers here are errors (lower is better); an accuracy enters as the share of wrong answers.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from statistics import mean, stdev
from typing import Any

Field = tuple[str, str]
Errors = dict[Field, dict[str, float]]
WEIGHTS = {"rmse": 1.0, "accuracy": 0.5, "log_loss": 0.5}


def field_errors(runs: Iterable[Mapping[str, Any]]) -> Errors:
    """The error of each contestant in each field, the mean over its seeds."""
    values: dict[Field, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for metric in WEIGHTS.keys() & run["scores"].keys():
            values[run["dataset"], metric][run["contestant"]].append(_error(run, metric))
    return {field: {name: mean(seeds) for name, seeds in found.items()} for field, found in sorted(values.items())}


def complete(errors: Errors, contestants: Sequence[str]) -> tuple[Errors, list[str]]:
    """The fields in which all `contestants` were measured, with these alone, and the datasets of the others."""
    kept = {
        field: {name: found[name] for name in contestants}
        for field, found in errors.items()
        if all(name in found for name in contestants)
    }
    return kept, sorted({dataset for dataset, _ in errors} - {dataset for dataset, _ in kept})


def ranks(errors: Mapping[str, float]) -> dict[str, float]:
    """1 for the lowest error; equals share the mean of their places."""
    ordered = sorted(errors.values())
    return {name: ordered.index(error) + (ordered.count(error) + 1) / 2 for name, error in errors.items()}


def average_ranks(errors: Errors) -> dict[str, float]:
    """The weighted mean of each contestant's ranks over all fields."""
    return _weighted({field: ranks(found) for field, found in errors.items()})


def rank_intervals(errors: Errors, level: float = 0.95, replicates: int = 5000) -> dict[str, tuple[float, float]]:
    """Ends of the percentile interval of `average_ranks`, over datasets drawn with replacement.

    Few datasets make wide intervals: what is said of the average rank is said of tables like these.
    """
    by_dataset: dict[str, Errors] = defaultdict(dict)
    for field, found in errors.items():
        by_dataset[field[0]][field] = found
    each = [average_ranks(of_dataset) for of_dataset in by_dataset.values()]
    rng = Random(0)
    drawn = [rng.choices(each, k=len(each)) for _ in range(replicates)]
    ends = {}
    for name in each[0] if each else ():
        means = sorted(mean(one[name] for one in ranks_of) for ranks_of in drawn)
        tail = round((1 - level) / 2 * replicates)
        ends[name] = means[tail], means[-1 - tail]
    return ends


def win_shares(errors: Errors) -> dict[str, float]:
    """The weighted share of fields in which a contestant is first; equals share a win."""

    def wins(found: Mapping[str, float]) -> dict[str, float]:
        best = min(found.values())
        first = [name for name, error in found.items() if error == best]
        return {name: 1 / len(first) if name in first else 0.0 for name in found}

    return _weighted({field: wins(found) for field, found in errors.items()})


def relative_errors(errors: Errors, against: str) -> Errors:
    """Error divided by that of `against`, which is 1 everywhere."""
    return {field: {name: error / found[against] for name, error in found.items()} for field, found in errors.items()}


def mean_relative_errors(errors: Errors, against: str) -> dict[str, float]:
    """The weighted geometric mean of `relative_errors` over all fields."""
    logarithms = {
        field: {name: math.log(ratio) for name, ratio in found.items()}
        for field, found in relative_errors(errors, against).items()
    }
    return {name: math.exp(value) for name, value in _weighted(logarithms).items()}


def better_shares(errors: Errors, against: str) -> dict[str, float]:
    """The weighted share of fields in which a contestant's error is below that of `against`; equal is half."""
    ratios = relative_errors(errors, against)
    return _weighted(
        {
            field: {name: 1.0 if ratio < 1 else 0.5 if ratio == 1 else 0.0 for name, ratio in found.items()}
            for field, found in ratios.items()
        }
    )


def mean_time_ratios(runs: Iterable[Mapping[str, Any]], datasets: Iterable[str], against: str) -> dict[str, float]:
    """The geometric mean over `datasets` of the processor time of a contestant divided by that of `against`.

    On one core with one thread that is the time on an idle machine, whatever else is going on.
    """
    seconds: dict[Field, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        seconds[run["dataset"], "rmse"][run["contestant"]].append(run["cpu_seconds"])  # any metric of weight 1
    wanted = set(datasets)
    means = {
        field: {name: mean(values) for name, values in found.items()}
        for field, found in seconds.items()
        if field[0] in wanted
    }
    return mean_relative_errors(means, against)


def spread_over_seeds(runs: Sequence[Mapping[str, Any]], contestants: Sequence[str], against: str) -> dict[str, float]:
    """The standard deviation over seeds of `mean_relative_errors`; empty when fewer than two seeds are complete."""
    by_seed = []
    for seed in sorted({run["seed"] for run in runs}):
        errors, left_out = complete(field_errors(run for run in runs if run["seed"] == seed), contestants)
        if errors and not left_out:
            by_seed.append(mean_relative_errors(errors, against))
    if len(by_seed) < 2:
        return {}
    return {name: stdev(ratios[name] for ratios in by_seed) for name in contestants}


def _error(run: Mapping[str, Any], metric: str) -> float:
    value: float = run["scores"][metric]
    if metric == "accuracy":
        return max(1.0 - value, 0.5 / run["n_test"])  # half a row: a perfect score has a ratio to others too
    return max(value, 1e-12)


def _weighted(fields: Mapping[Field, Mapping[str, float]]) -> dict[str, float]:
    total = sum(WEIGHTS[metric] for _, metric in fields)
    names = next(iter(fields.values()), {})
    return {name: sum(WEIGHTS[field[1]] * values[name] for field, values in fields.items()) / total for name in names}
