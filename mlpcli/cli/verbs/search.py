"""`mlp search`."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.cluster_options import Cluster, ClusterSecurity, cluster_arguments, cluster_at
from mlpcli.cli.document import Block, Cell, Column, Document, Paragraph, Table, name_column
from mlpcli.cli.options import Config, Html, Json, Markdown, Quiet, Settings, form_of, parse_count, parse_number
from mlpcli.messages import format_count, format_duration, format_interval, format_number

if TYPE_CHECKING:
    from mlpcli.search.study import Trial
    from mlpcli.workflows.search import Judged, SearchResult

SHOWN = 5  # trials in the table; --json and `mlp runs` show all
LEAST_IMPORTANCE = 0.01


def search(
    config: Config,
    settings: Settings = None,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DIR", help="Output folder of the search; default runs/NAME-search."),
    ] = "",
    trials: Annotated[str, typer.Option("--trials", metavar="N", help="Total number of trials (search.trials).")] = "",
    seconds: Annotated[
        str, typer.Option("--max-seconds", metavar="S", help="Time limit of the search (search.seconds).")
    ] = "",
    processes: Annotated[
        str, typer.Option("--processes", metavar="N", help="Number of trials that run in parallel (search.processes).")
    ] = "",
    cluster: Cluster = "",
    security: ClusterSecurity = "",
    resume: Annotated[bool, typer.Option("--resume", help="Resume an existing search.")] = False,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Search hyperparameters, and score the best trial on rows that no trial has seen.

    Example: mlp search configs/search.yaml --trials 20
    """
    from mlpcli.search.space import require_optuna

    require_optuna()
    from mlpcli.cli.progress.search_view import SearchView
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.search import search as run_search

    form, screen = form_of(json, markdown, html), Screen(quiet)
    limits = _limits(trials, seconds, processes)
    loaded = load_config(config, [*(settings or []), *limits])
    words = [word for one in settings or [] for word in ("--set", one)]
    words += [word for one in limits for word in ("--set", one)] + (["--output", output] if output else [])
    words += [*cluster_arguments(cluster, security), *["--quiet"] * quiet, *[f"--{form}"] * (form != "text")]
    view = SearchView(screen)
    with view.watching():
        command = shlex.join(["mlp", "search", config, *words, "--resume"])
        result = run_search(loaded, view, output, resume, command, cluster_at(cluster, security))
    screen.write_result(document(result), as_json(result), form)
    if form == "text":
        screen.info(f"Next: mlp train {shlex.quote(result.best_config)}")
        screen.info(f"  or: mlp runs {shlex.quote(result.folder)}")


def _limits(trials: str, seconds: str, processes: str) -> list[str]:
    """The overrides of the section `search`; raises MlpError."""
    found = [f"search.trials={parse_count('--trials', trials, 1)}"] if trials else []
    found += [f"search.seconds={parse_number('--max-seconds', seconds, 0.0):g}"] if seconds else []
    return found + ([f"search.processes={parse_count('--processes', processes, 1)}"] if processes else [])


def document(result: "SearchResult") -> Document:
    """The best trials, the scores of the winner and of the config as written on held-out rows, and key importances."""
    metric, best = result.metric, result.best
    title = f"{tally(result.trials)} · {metric} of the validation rows · best: trial {best.number}"
    complete = _ordered(result)
    columns = [
        name_column("trial"),
        Column(metric),
        Column("epochs", rank=3),
        Column("time", rank=2),
        Column("", is_text=True),
    ]
    keys = short_keys([key for one in complete for key in one.values])
    rows = [
        (
            str(one.number),
            format_number(one.score),
            str(one.epochs),
            format_duration(one.seconds),
            _described(one, keys),
        )
        for one in complete[:SHOWN]
    ]
    more = f"and {format_count(len(complete) - SHOWN, 'more complete trial')}" if len(complete) > SHOWN else ""
    blocks: list[Block] = [Table(columns, rows, more=more), _judged_table(result)]
    if shown := [f"{keys.get(key, key)} {part:.0%}" for key, part in _mattered(result)]:
        blocks.append(Paragraph(f"What set the best trials apart: {' · '.join(shown)}"))
    faults = dict.fromkeys(f"trial {one.number}: {one.reason}" for one in result.trials if one.outcome == "failed")
    blocks.append(Paragraph(f"{format_duration(result.seconds)}. Wrote {result.best_config}"))
    shown_faults = list(faults)[:3] + ([f"{len(faults) - 3} more trials failed."] if len(faults) > 3 else [])
    return Document(title, blocks, [*result.notes, *shown_faults, *_warnings(result)], heading="mlp search")


def tally(trials: "Sequence[Trial]") -> str:
    """`50 trials: 44 complete, 5 pruned, 1 failed`."""
    counts = Counter(one.outcome for one in trials)
    listed = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    return f"{format_count(len(trials), 'trial')}: {listed}"


def short_keys(keys: "Sequence[str]") -> dict[str, str]:
    """Each key by its shortest unambiguous suffix of components."""
    distinct = list(dict.fromkeys(keys))
    found = {}
    for key in distinct:
        parts = key.split(".")
        ends = (".".join(parts[-n:]) for n in range(1, len(parts) + 1))
        found[key] = next(
            (end for end in ends if sum(other == end or other.endswith(f".{end}") for other in distinct) == 1), key
        )
    return found


def as_json(result: "SearchResult") -> dict[str, Any]:
    """Every trial, the winner and its config, both scores, and the importance of each key."""
    return {
        "output": result.folder,
        "metric": result.metric,
        "best": {**_trial_json(result.best), "config": result.best_config},
        "unseen": {"n_rows": result.n_aside, "file": result.aside or None, **_judged_json(result.judged)},
        "as_written": None if result.written is None else _judged_json(result.written),
        "n_rows": result.n_rows,
        "importance": dict(result.importance),
        "seconds": result.seconds,
        "trials": [_trial_json(one) for one in result.trials],
        "notes": result.notes,
    }


def _ordered(result: "SearchResult") -> "list[Trial]":
    """The complete trials, best first."""
    complete = [one for one in result.trials if one.outcome == "complete" and one.score is not None]
    return sorted(complete, key=lambda one: (_sign(result) * (one.score or 0.0), one.number))


def _sign(result: "SearchResult") -> float:
    """1 if lower is better, else -1."""
    scores = [one.score for one in result.trials if one.outcome == "complete" and one.score is not None]
    return -1.0 if result.best.score == max(scores) else 1.0


def _described(one: "Trial", keys: Mapping[str, str]) -> str:
    values = ", ".join(f"{keys.get(key, key)} {_text(value)}" for key, value in one.values.items())
    return one.origin or values


def _text(value: object) -> str:
    """A value in YAML, without null entries and quotes."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _judged_table(result: "SearchResult") -> Table:
    """The optimistic scores that chose the winner, beside those on held-out rows."""
    written = next((one for one in result.trials if one.number == 0 and one.outcome == "complete"), None)
    unseen = result.aside or f"{format_count(result.n_aside, 'row')} no trial has seen"
    columns = [name_column(""), Column("validation*"), Column(unseen), Column("interval", rank=1)]
    rows: list[Sequence[str | Cell]] = [
        (f"trial {result.best.number}", format_number(result.best.score), *_cells(result.judged)),
    ]
    if result.best.number and written is not None and result.written is not None:
        rows.append(("as written", format_number(written.score), *_cells(result.written)))
    chose = f"* chosen on these rows, the best of {format_count(len(result.trials), 'trial')}: optimistic"
    return Table(columns, rows, title=f"{result.metric} of the winner", more=chose)


def _cells(judged: "Judged") -> tuple[str, str]:
    return format_number(judged.score), format_interval(judged.interval)


def _mattered(result: "SearchResult") -> list[tuple[str, float]]:
    return [(key, part) for key, part in result.importance.items() if part >= LEAST_IMPORTANCE]


def _warnings(result: "SearchResult") -> list[str]:
    """Reservations about the result."""
    found = []
    if result.judged.interval.reason:
        found.append(f"no interval: {result.judged.interval.reason}.")
    if not result.importance:
        found.append("too few complete trials to say which keys matter.")
    if result.best.number and result.written is not None:
        is_worse = _sign(result) * (result.judged.score - result.written.score) >= 0
        if is_worse:
            found.append(
                "on the rows that no trial has seen the winner is no better than the config as written: its gain "
                "on the validation rows is due to chance."
            )
    return found


def _trial_json(one: "Trial") -> dict[str, Any]:
    return {
        "number": one.number,
        "outcome": one.outcome,
        "score": one.score,
        "origin": one.origin or None,
        "values": dict(one.values),
        "epochs": one.epochs,
        "seconds": one.seconds,
        "reason": one.reason,
    }


def _judged_json(judged: "Judged") -> dict[str, Any]:
    ends = judged.interval
    record = {"score": judged.score, "low": ends.low, "high": ends.high}
    return record | ({"reason": ends.reason} if ends.reason else {})
