"""The tables: each dataset, the standings, the parts of a recipe; on the terminal and as a page of docs/."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.printing import in_time, markdown_table
from benchmarks.quality.standings import (
    average_ranks,
    better_shares,
    complete,
    field_errors,
    mean_relative_errors,
    mean_time_ratios,
    rank_intervals,
    ranks,
    relative_errors,
    spread_over_seeds,
    win_shares,
)

Run = Mapping[str, Any]
COLUMNS = {"accuracy": "accuracy", "log_loss": "log loss", "roc_auc": "AUC", "ece": "ECE", "rmse": "RMSE"}
NAMED = ("numpy", "pandas", "numba", "scikit-learn", "lightgbm", "xgboost", "catboost", "torch", "pytabkit")
PAGE = """\
# How good

## Beside its peers

{quality}

## What each part of the recipe is worth

{ablation}
"""


def standings(runs: Sequence[Run], contestants: Sequence[str], against: str) -> str:
    """All tables as Markdown: the standings over the datasets that all `contestants` have done, then each dataset."""
    runs = [run for run in runs if run["contestant"] in contestants]
    contestants, absent = _present(runs, contestants)
    if not contestants:
        return "Nothing measured yet."
    datasets = dict.fromkeys(run["dataset"] for run in runs)
    most = max(len(_datasets_of(runs, name)) for name in contestants)
    ranked = [name for name in contestants if len(_datasets_of(runs, name)) >= most / 2]
    against = against if against in ranked else ranked[0]
    errors, left_out = complete(field_errors(runs), ranked)
    of_ranked = [run for run in runs if run["contestant"] in ranked]
    parts = [_overall(of_ranked, errors, ranked, against)] if errors else []
    parts += _remarks(absent, left_out, [name for name in contestants if name not in ranked])
    parts += [_dataset([run for run in runs if run["dataset"] == name], contestants) for name in datasets]
    return "\n\n".join(parts)


def ablation(runs: Sequence[Run], whole: str, parts: Sequence[str]) -> str:
    """What each part of the recipe `whole` is worth; `parts` are the contestants that lack one."""
    parts, absent = _present(runs, parts)
    errors, left_out = complete(field_errors(runs), [whole, *parts])
    if not errors:
        return f"No dataset has been measured with {whole} and with every part taken out."
    total = mean_relative_errors(errors, whole)
    by_metric = {
        metric: mean_relative_errors({field: found for field, found in errors.items() if field[1] == metric}, whole)
        for metric in sorted({metric for _, metric in errors})
    }
    ratios = relative_errors(errors, whole)
    spread = spread_over_seeds(runs, [whole, *parts], whole)
    times = mean_time_ratios(runs, {dataset for dataset, _ in errors}, whole)
    header = [
        "changed",
        "all errors",
        "± seeds",
        *(f"{COLUMNS[m]} error" for m in by_metric),
        "most",
        "least",
        "processor time",
    ]
    rows = []
    for part in sorted(parts, key=lambda part: -total[part]):
        most = max(ratios, key=lambda field: ratios[field][part])
        least = min(ratios, key=lambda field: ratios[field][part])
        rows.append(
            [
                part.removeprefix(f"{whole} "),
                _percent(total[part]),
                f"{100 * spread[part]:.2f}" if spread else "",
                *(_percent(found[part]) for found in by_metric.values()),
                *(f"{_percent(ratios[field][part])} {_field(field)}" for field in (most, least)),
                f"{times[part]:.2f} x",
            ]
        )
    title = (
        f"The error of `{whole}` when one thing is changed: above 0 the unchanged recipe is better.\n"
        f"Geometric mean over {_count(errors)}."
    )
    return "\n\n".join([title, markdown_table(header, rows), *_remarks(absent, left_out)])


def write_page(path: Path, name: str, tables: str, machine: Mapping[str, Any]) -> None:
    """Put the tables of benchmark `name`, with the machine named, between its two marks in `path`.

    A page that is not there is begun; one without the marks is refused with ValueError.
    """
    begin, end = _marks(name)
    empty = {one: "\n".join(_marks(one)) for one in ("quality", "ablation")}
    text = path.read_text() if path.exists() else PAGE.format(**empty)
    before, found, rest = text.partition(f"{begin}\n")
    _, found_too, after = rest.partition(end)
    if not found or not found_too:
        raise ValueError(f"{path}: no {begin} and {end} to write between")
    path.write_text(f"{before}{begin}\n{describe(machine)}\n\n{tables}\n{end}{after}")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def describe(machine: Mapping[str, Any]) -> str:
    """Where and with what it was measured, in a sentence or two."""
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in NAMED if machine["versions"].get(name))
    return (
        f"Measured on one core of {machine['processor']} ({machine['system']}, {machine['memory_gb']} GB), "
        f"Python {machine['python']}, {machine['when'][:10]}:\n{versions}."
    )


def scores_in_words(run: Run) -> str:
    """The scores of one run on one line."""
    return " · ".join(f"{COLUMNS[name]} {value:.5g}" for name, value in run["scores"].items())


def _present(runs: Sequence[Run], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names with a run, and those without any."""
    known = {run["contestant"] for run in runs}
    return [name for name in names if name in known], [name for name in names if name not in known]


def _datasets_of(runs: Sequence[Run], name: str) -> set[str]:
    """The datasets on which a contestant was measured."""
    return {run["dataset"] for run in runs if run["contestant"] == name}


def _remarks(absent: Sequence[str], left_out: Sequence[str], partial: Sequence[str] = ()) -> list[str]:
    """What is not in the averages, and why."""
    remarks = {
        "Not measured": absent,
        "Not in the averages, because measured on less than half of the datasets": partial,
        "Not in the averages, because not all contestants were measured there": left_out,
    }
    return [f"{remark}: {', '.join(names)}." for remark, names in remarks.items() if names]


def _overall(runs: Sequence[Run], errors: Any, contestants: Sequence[str], against: str) -> str:
    place, wins, ends = average_ranks(errors), win_shares(errors), rank_intervals(errors)
    ratio, better = mean_relative_errors(errors, against), better_shares(errors, against)
    each = relative_errors(errors, against)
    times = mean_time_ratios(runs, {dataset for dataset, _ in errors}, against)
    spread = spread_over_seeds(runs, contestants, against)
    rows = []
    for name in sorted(contestants, key=lambda name: place[name]):
        worst = max(each, key=lambda field: each[field][name])
        noise = f" ± {100 * spread[name]:.1f}" if spread and name != against else ""
        rows.append(
            [
                name,
                f"{place[name]:.2f}",
                f"[{ends[name][0]:.2f}, {ends[name][1]:.2f}]",
                f"{wins[name]:.0%}",
                f"{_percent(ratio[name])}{noise}",
                f"{_percent(each[worst][name])} {_field(worst)}" if name != against else "",
                f"{better[name]:.0%}" if name != against else "",
                f"{times[name]:.3g} x",
            ]
        )
    relative = (f"error relative to {against}", "worst", f"better than {against}")
    header = ["", "average rank", "95%", "wins", *relative, "processor time"]
    return f"Over {_count(errors)}:\n\n{markdown_table(header, rows)}"


def _dataset(runs: Sequence[Run], contestants: Sequence[str]) -> str:
    """One dataset: means over seeds, with the standard deviation of the ranked metrics."""
    present = [name for name in contestants if any(run["contestant"] == name for run in runs)]
    by_name = {name: [run for run in runs if run["contestant"] == name] for name in present}
    errors = {field: ranks(found) for field, found in field_errors(runs).items()}
    place = {name: mean(found[name] for found in errors.values()) for name in present}
    metrics = [name for name in COLUMNS if name in runs[0]["scores"]]
    rows = [
        [
            name,
            *(_mean_score(by_name[name], metric) for metric in metrics),
            f"{place[name]:.1f}",
            in_time(mean(run["seconds"] for run in by_name[name])),
            in_time(mean(run["cpu_seconds"] for run in by_name[name])),
            in_time(mean(run["fit_seconds"] for run in by_name[name])),
            str(len(by_name[name])),
        ]
        for name in sorted(present, key=lambda name: place[name])
    ]
    header = ["", *(COLUMNS[name] for name in metrics), "rank", "time", "processor time", "fitting alone", "seeds"]
    return f"**{runs[0]['dataset']}**, {runs[0]['n_test']} test rows\n\n{markdown_table(header, rows)}"


def _mean_score(runs: Iterable[Run], metric: str) -> str:
    values = [run["scores"][metric] for run in runs]
    digits = max(0, 4 - len(str(int(abs(mean(values)))))) if metric == "rmse" else 4
    text = f"{mean(values):.{digits}f}"
    return f"{text} ± {stdev(values):.{digits}f}" if len(values) > 1 and metric != "ece" else text


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}%"


def _field(field: tuple[str, str]) -> str:
    dataset, metric = field
    return dataset if metric == "rmse" else f"{dataset}, {COLUMNS[metric]}"


def _count(errors: Mapping[tuple[str, str], Any]) -> str:
    datasets = len({dataset for dataset, _ in errors})
    return f"{datasets} dataset{'s' if datasets != 1 else ''}, accuracy and log loss counting half each"
