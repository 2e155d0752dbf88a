"""`mlp cv`."""

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mlpcli.cli.cluster_options import Cluster, ClusterSecurity, cluster_arguments, cluster_at
from mlpcli.cli.document import Block, Column, Document, Paragraph, Table, name_column, number_columns
from mlpcli.cli.job_log import LOG
from mlpcli.cli.options import (
    Confidence,
    Config,
    Html,
    Json,
    LogFile,
    Markdown,
    Maximum,
    Minimum,
    Output,
    Quiet,
    Seed,
    Settings,
    form_of,
    parse_count,
    parse_number,
)
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.cli.verbs.gates import gate_blocks, gates_json, refuse_missed, tally
from mlpcli.messages import format_interval, format_number
from mlpcli.workflows.scoring.main_metrics import main_metrics

if TYPE_CHECKING:
    from mlpcli.workflows.cross_validation.folds import FoldOptions
    from mlpcli.workflows.cross_validation.result import CvResult

# More folds are in the JSON output only.
MOST_SHOWN = 10


Folds = Annotated[int, typer.Option("--folds", metavar="K", help="Number of folds.")]
Repeats = Annotated[int, typer.Option("--repeats", metavar="R", help="Number of repeats with new folds.")]
Group = Annotated[str, typer.Option("--group", metavar="COLUMN", help="Keep rows with equal values in one fold.")]
Time = Annotated[str, typer.Option("--time", metavar="COLUMN", help="Train on earlier rows and score later rows.")]
Gap = Annotated[
    float | None, typer.Option("--gap", help="With --time: days (or units) between training and scored rows.")
]
Hash = Annotated[str, typer.Option("--hash", metavar="COLUMN", help="Assign rows to folds by a stable hash of an id.")]
Keep = Annotated[bool, typer.Option("--keep", help="Save the models of all folds as one ensemble: weights.npz.")]
Ids = Annotated[str, typer.Option("--id", metavar="COLUMNS", help="Columns to copy into out_of_fold.csv: id,name.")]
Jobs = Annotated[
    str, typer.Option("--jobs", metavar="N", help="Folds trained in parallel; auto depends on cores and work.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume: train only the folds that are not done.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a result of another config instead of keeping it.")]


def cv(
    config: Config,
    folds: Folds = 5,
    repeats: Repeats = 1,
    group: Group = "",
    time: Time = "",
    gap: Gap = None,
    hash: Hash = "",
    keep: Keep = False,
    ids: Ids = "",
    minimum: Minimum = None,
    maximum: Maximum = None,
    confidence: Confidence = "0.95",
    jobs: Jobs = "auto",
    cluster: Cluster = "",
    security: ClusterSecurity = "",
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    resume: Resume = False,
    force: Force = False,
    log: LogFile = None,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Cross-validate a config: score each fold, with a confidence interval of the mean.

    Example: mlp cv configs/penguins.yaml --folds 5 --min accuracy=0.9
    """
    from mlpcli.fork_server import start_server

    if jobs not in ("auto", "1") and not cluster:
        start_server("mlpcli.workflows.cross_validation.workers")  # imports in parallel, on another core
    from mlpcli.cli.overrides import config_overrides, gate_arguments, resume_command
    from mlpcli.cli.progress.folds_view import show_fold_progress
    from mlpcli.cli.verbs.eval_options import parse_gates
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.cv import CvRequest, FoldOptions, as_json, cross_validate

    form, screen = form_of(json, markdown, html), Screen(quiet)
    options = FoldOptions(folds, repeats, group, time, hash, gap, keep)
    LOG.begin(log, "cv", config=config, set=settings or [])
    loaded = load_config(config, config_overrides(settings, None, seed))
    request = CvRequest(
        output or "", options, tuple(parse_gates(minimum, maximum)), parse_number("--confidence", confidence),
        0 if jobs == "auto" else parse_count("--jobs", jobs, 1), _names(ids), resume, force,
        cluster_at(cluster, security),
    )  # fmt: skip
    rest = [*_words(options, ids), *cluster_arguments(cluster, security), *gate_arguments(minimum, maximum)]
    with show_fold_progress(screen) as view:
        command = resume_command(config, settings, output, seed, rest, "cv")
        result = cross_validate(loaded, request, view, command)
    record = as_json(result)
    LOG.event("cross-validated", **record)
    screen.write_result(document(result), record | {"gates": gates_json(result.gate_results)}, form)
    refuse_missed(result.gate_results)


def _names(columns: str) -> tuple[str, ...]:
    """Names separated by commas; a name that contains one is quoted, as in CSV."""
    return tuple(dict.fromkeys(name.strip() for name in next(csv.reader([columns]), []) if name.strip()))


def _words(options: "FoldOptions", ids: str) -> list[str]:
    """The options as command-line arguments for `--resume`."""
    words = ["--folds", str(options.n_folds), "--repeats", str(options.n_repeats)]
    fold_options = {
        "--group": options.group,
        "--time": options.time,
        "--hash": options.hash,
        "--gap": options.gap,
        "--id": ids,
    }
    words += ["--keep"] * options.keeps
    return [*words, *(word for option, value in fold_options.items() if value for word in (option, str(value)))]


def document(result: "CvResult") -> Document:
    """A row per metric: the scores of the folds if few, mean, standard deviation, interval and baseline."""
    from mlpcli.data.targets.target import prediction_names
    from mlpcli.evaluation.uncertainty.intervals import without_end

    keys = [key for key in main_metrics(result.target.task, prediction_names(result.target)) if key in result.scores]
    gate_keys = dict.fromkeys(without_end(gate_result.gate.metric) for gate_result in result.gate_results)
    keys += [key for key in gate_keys if key not in keys]
    reasons: dict[str, list[str]] = {}
    for key in keys:
        if reason := result.scores[key].interval.reason:
            reasons.setdefault(reason, []).append(key)
    blocks: list[Block] = [_scores(result, keys, len(result.records) <= MOST_SHOWN)]
    blocks += [
        Paragraph(f"no interval of {', '.join(keys_of_reason)}: {reason}") for reason, keys_of_reason in reasons.items()
    ]
    blocks += gate_blocks(result.gate_results)
    blocks.append(Paragraph(result.coverage))
    files = ["weights.npz"] if result.has_model else []
    blocks.append(
        Paragraph(f"out-of-fold predictions: {result.folder}/out_of_fold.csv · {' · '.join(['cv.json', *files])}")
    )
    kept = [f"the one of another config that was in {result.folder} is now {result.kept}."] if result.kept else []
    notes = [*kept, *([result.far_worse] if result.far_worse else [])]
    heading = f"mlp cv: {tally(result.gate_results)}" if result.gate_results else "mlp cv"
    return Document("", blocks, notes, heading)


def _scores(result: "CvResult", keys: Sequence[str], has_folds: bool, has_constant: bool = True) -> Table:
    """A row per metric; if it is too wide, the baseline is omitted first, then all folds."""
    fold_columns = [Column(_heading(record.number, result.options)) for record in result.records if has_folds]
    columns = [name_column("fold" if has_folds else ""), *fold_columns, *number_columns(["mean", "± sd"])]
    columns += [Column(f"{100 * result.confidence:.4g}% interval"), *[Column("constant", rank=1)] * has_constant]
    rows = []
    for key in keys:
        summary = result.scores[key]
        values = [format_number(value) for value in summary.values if has_folds]
        ends, constant = (
            format_interval(summary.interval) or "-",
            [format_number(result.constant.get(key))] * has_constant,
        )
        rows.append((key, *values, format_number(summary.mean), format_number(summary.deviation), ends, *constant))
    left_out = "" if has_folds and has_constant else "the baseline" if has_folds else "the score of each fold"
    where = "--json" if len(result.records) > MOST_SHOWN else "wider terminals, --json"
    more = f"{left_out}: {where}" if left_out else ""
    narrow = None
    if has_folds:
        narrow = _scores(result, keys, True, False) if has_constant else _scores(result, keys, False)
    return Table(columns, rows, more=more, narrow=narrow)


def _heading(number: int, options: "FoldOptions") -> str:
    """`3`, or `2.3` for fold 3 of repeat 2."""
    repeat, fold = divmod(number, options.n_folds)
    return f"{repeat + 1}.{fold + 1}" if options.n_repeats > 1 else f"{fold + 1}"
