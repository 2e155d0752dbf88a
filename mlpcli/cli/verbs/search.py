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
    from mlpcli.workflows.search import HeldOutScore, SearchResult

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
    words = [word for override in settings or [] for word in ("--set", override)]
    words += [word for override in limits for word in ("--set", override)] + (["--output", output] if output else [])
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
    overrides = [f"search.trials={parse_count('--trials', trials, 1)}"] if trials else []
    overrides += [f"search.seconds={parse_number('--max-seconds', seconds, 0.0):g}"] if seconds else []
    return overrides + ([f"search.processes={parse_count('--processes', processes, 1)}"] if processes else [])


def document(result: "SearchResult") -> Document:
    """The best trials, the scores of the winner and of the config as written on held-out rows, and key importances."""
    metric, best = result.metric, result.best
    title = f"{tally(result.trials)} · {metric} of the validation rows · best: trial {best.number}"
    complete = _complete_trials(result)
    columns = [
        name_column("trial"),
        Column(metric),
        Column("epochs", rank=3),
        Column("time", rank=2),
        Column("", is_text=True),
    ]
    keys = short_keys([key for trial in complete for key in trial.values])
    rows = [
        (
            str(trial.number),
            format_number(trial.score),
            str(trial.epochs),
            format_duration(trial.seconds),
            _describe_trial(trial, keys),
        )
        for trial in complete[:SHOWN]
    ]
    more = f"and {format_count(len(complete) - SHOWN, 'more complete trial')}" if len(complete) > SHOWN else ""
    blocks: list[Block] = [Table(columns, rows, more=more), _held_out_table(result)]
    if shown := [f"{keys.get(key, key)} {importance:.0%}" for key, importance in _important_keys(result)]:
        blocks.append(Paragraph(f"What set the best trials apart: {' · '.join(shown)}"))
    failed = [trial for trial in result.trials if trial.outcome == "failed"]
    faults = dict.fromkeys(f"trial {trial.number}: {trial.reason}" for trial in failed)
    blocks.append(Paragraph(f"{format_duration(result.seconds)}. Wrote {result.best_config}"))
    shown_faults = list(faults)[:3] + ([f"{len(faults) - 3} more trials failed."] if len(faults) > 3 else [])
    return Document(title, blocks, [*result.notes, *shown_faults, *_warnings(result)], heading="mlp search")


def tally(trials: "Sequence[Trial]") -> str:
    """`50 trials: 44 complete, 5 pruned, 1 failed`."""
    counts = Counter(trial.outcome for trial in trials)
    listed = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    return f"{format_count(len(trials), 'trial')}: {listed}"


def short_keys(keys: "Sequence[str]") -> dict[str, str]:
    """Each key by its shortest unambiguous suffix of components."""
    distinct = list(dict.fromkeys(keys))
    short = {}
    for key in distinct:
        components = key.split(".")
        suffixes = (".".join(components[-n:]) for n in range(1, len(components) + 1))
        short[key] = next((suffix for suffix in suffixes if _is_unambiguous(suffix, distinct)), key)
    return short


def _is_unambiguous(suffix: str, keys: "Sequence[str]") -> bool:
    return sum(key == suffix or key.endswith(f".{suffix}") for key in keys) == 1


def as_json(result: "SearchResult") -> dict[str, Any]:
    """Every trial, the winner and its config, both scores, and the importance of each key."""
    return {
        "output": result.folder,
        "metric": result.metric,
        "best": {**_trial_json(result.best), "config": result.best_config},
        "unseen": {
            "n_rows": result.n_held_out,
            "file": result.held_out_file or None,
            **_held_out_json(result.held_out_score),
        },
        "as_written": None if result.unchanged_score is None else _held_out_json(result.unchanged_score),
        "n_rows": result.n_rows,
        "importance": dict(result.importance),
        "seconds": result.seconds,
        "trials": [_trial_json(trial) for trial in result.trials],
        "notes": result.notes,
    }


def _complete_trials(result: "SearchResult") -> "list[Trial]":
    """The complete trials, best first."""
    complete = [trial for trial in result.trials if trial.outcome == "complete" and trial.score is not None]
    return sorted(complete, key=lambda trial: (_sign(result) * (trial.score or 0.0), trial.number))


def _sign(result: "SearchResult") -> float:
    """1 if lower is better, else -1."""
    scores = [trial.score for trial in result.trials if trial.outcome == "complete" and trial.score is not None]
    return -1.0 if result.best.score == max(scores) else 1.0


def _describe_trial(trial: "Trial", keys: Mapping[str, str]) -> str:
    values = ", ".join(f"{keys.get(key, key)} {_text(value)}" for key, value in trial.values.items())
    return trial.origin or values


def _text(value: object) -> str:
    """A value in YAML, without null entries and quotes."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_text(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _held_out_table(result: "SearchResult") -> Table:
    """The validation scores, which are optimistic because they chose the winner, beside the held-out scores."""
    unchanged_trial = next(
        (trial for trial in result.trials if trial.number == 0 and trial.outcome == "complete"), None
    )
    held_out_heading = result.held_out_file or f"{format_count(result.n_held_out, 'row')} no trial has seen"
    columns = [name_column(""), Column("validation*"), Column(held_out_heading), Column("interval", rank=1)]
    rows: list[Sequence[str | Cell]] = [
        (f"trial {result.best.number}", format_number(result.best.score), *_cells(result.held_out_score)),
    ]
    if result.best.number and unchanged_trial is not None and result.unchanged_score is not None:
        rows.append(("as written", format_number(unchanged_trial.score), *_cells(result.unchanged_score)))
    remark = f"* chosen on these rows, the best of {format_count(len(result.trials), 'trial')}: optimistic"
    return Table(columns, rows, title=f"{result.metric} of the winner", more=remark)


def _cells(held_out: "HeldOutScore") -> tuple[str, str]:
    return format_number(held_out.score), format_interval(held_out.interval)


def _important_keys(result: "SearchResult") -> list[tuple[str, float]]:
    return [(key, importance) for key, importance in result.importance.items() if importance >= LEAST_IMPORTANCE]


def _warnings(result: "SearchResult") -> list[str]:
    """Reservations about the result."""
    warnings = []
    if result.held_out_score.interval.reason:
        warnings.append(f"no interval: {result.held_out_score.interval.reason}.")
    if not result.importance:
        warnings.append("too few complete trials to say which keys matter.")
    if result.best.number and result.unchanged_score is not None:
        is_worse = _sign(result) * (result.held_out_score.score - result.unchanged_score.score) >= 0
        if is_worse:
            warnings.append(
                "on the rows that no trial has seen the winner is no better than the config as written: its gain "
                "on the validation rows is due to chance."
            )
    return warnings


def _trial_json(trial: "Trial") -> dict[str, Any]:
    return {
        "number": trial.number,
        "outcome": trial.outcome,
        "score": trial.score,
        "origin": trial.origin or None,
        "values": dict(trial.values),
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "reason": trial.reason,
    }


def _held_out_json(held_out: "HeldOutScore") -> dict[str, Any]:
    bounds = held_out.interval
    record = {"score": held_out.score, "low": bounds.low, "high": bounds.high}
    return record | ({"reason": bounds.reason} if bounds.reason else {})
