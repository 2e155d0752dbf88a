"""`mlp eval`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpcli.cli.cluster_options import Cluster, ClusterSecurity, cluster_at
from mlpcli.cli.document import Block, Column, Document, Paragraph, Table, name_column, number_columns
from mlpcli.cli.job_log import LOG
from mlpcli.cli.options import (
    By,
    Confidence,
    Cross,
    Delimiter,
    Encoding,
    GateGroups,
    Html,
    Json,
    JUnit,
    Level,
    LogFile,
    Markdown,
    Maximum,
    Minimum,
    OnDrift,
    Quiet,
    Replicates,
    TestTable,
    Weights,
    form_of,
    parse_level,
)  # fmt: skip
from mlpcli.cli.usage_errors import refuse_swapped
from mlpcli.cli.verbs.describing import describe_target
from mlpcli.cli.verbs.gates import gate_blocks, gates_json, refuse_missed, tally
from mlpcli.messages import format_count, format_interval, format_list, format_number

if TYPE_CHECKING:
    from mlpcli.workflows.evaluate import EvalResult
    from mlpcli.workflows.scoring import predictions
    from mlpcli.workflows.scoring.slices import Slice, SliceTable

MOST_CLASSES = 30  # rows and columns of a table of classes, outputs or groups
MOST_CONFUSED = 10  # pairs of classes
MOST_REASONS = 3  # why scores of classes or targets have no interval


def evaluate(
    weights: Weights,
    source: TestTable,
    minimum: Minimum = None,
    maximum: Maximum = None,
    on_drift: OnDrift = "warn",
    confidence: Confidence = "0.95",
    replicates: Replicates = "",
    by: By = "",
    cross: Cross = False,
    gate_groups: GateGroups = False,
    level: Level = "",
    junit: JUnit = "",
    cluster: Cluster = "",
    security: ClusterSecurity = "",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    log: LogFile = None,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Score a model on rows with known targets; with gates, the exit code says whether they are met.

    Example: mlp eval runs/penguins/weights.npz test.csv --min accuracy=0.95 --max log_loss=0.2
    """
    from mlpcli.cli.ci import report
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.cli.verbs.eval_options import parse_gates, parse_grouping, parse_interval_options
    from mlpcli.workflows.evaluate import evaluate as run_evaluation

    LOG.begin(log, "eval", weights=weights, test=source)
    form = form_of(json, markdown, html)
    gates, bounds = parse_gates(minimum, maximum), parse_interval_options(confidence, replicates)
    refuse_swapped("eval", weights, source)
    groups = parse_grouping(by, cross, gate_groups, gates)
    screen, cluster_address = Screen(quiet), cluster_at(cluster, security)
    with show_progress(screen, "scoring"):
        result = run_evaluation(
            weights, source, gates, delimiter, encoding, on_drift, bounds, groups, parse_level(level), cluster_address
        )
    LOG.event("scored", rows=result.n_rows, passed=result.passed)
    output = document(result)
    screen.write_result(output, as_json(result), form)
    report(result, output, junit)
    refuse_missed(result.gate_results)
    if result.drift is not None:
        result.drift.refuse(on_drift)


def document(result: "EvalResult") -> Document:
    """Scores with intervals, scores per class, confusion matrix, groups, and gates."""
    confidence = f"intervals at {result.interval_options.confidence:.4g}"
    title = f"{format_count(result.n_rows, 'row')} · {describe_target(result.model.target)} · {confidence}"
    scored = result.scored
    rows = [
        (key, format_number(score), format_interval(scored.intervals.get(key)))
        for key, score in scored.scores.items()
        if "[" not in key
    ]
    blocks: list[Block] = [Table([name_column("metric"), *number_columns(["score", "interval"])], rows)]
    blocks += [Paragraph(result.conformal.text)] if result.conformal is not None else []
    blocks += [Paragraph(f"no interval of {', '.join(keys)}: {why}") for why, keys in scored.without_interval().items()]
    blocks += [*_per_class(scored), *_missing_intervals(scored), *_confusion(result)]
    blocks += [_slices(table) for table in result.slice_tables]
    heading = f"mlp eval: {tally(result.gate_results)}"
    return Document(title, [*blocks, *gate_blocks(result.gate_results)], result.notes, heading)


def as_json(result: "EvalResult") -> dict[str, Any]:
    """Scores, intervals, gates, groups and the confusion matrix."""
    record: dict[str, Any] = {
        "n_rows": result.n_rows,
        "task": result.model.target.task,
        "scores": result.scored.scores,
        "confidence": result.interval_options.confidence,
        "intervals": _intervals_json(result.scored),
        "gates": gates_json(result.gate_results),
        "passed": result.passed,
        "n_missing": result.counts.n_missing,
        "n_unseen": result.counts.n_unseen,
    }
    if result.model.target.kind == "classes":
        record |= {"classes": result.model.target.labels, "confusion": result.confusion}
    if result.conformal is not None:
        record["interval"] = result.conformal.as_json
    if result.slice_tables:
        record["slices"] = [_slices_json(table) for table in result.slice_tables]
    return record


def _slices_json(table: "SliceTable") -> dict[str, Any]:
    return {
        "by": table.columns,
        "metric": table.metric,
        "groups": [
            {
                "name": group.name,
                "n_rows": group.n_rows,
                "is_small": group.is_small,
                "scores": group.scored.scores,
                "intervals": _intervals_json(group.scored),
            }
            for group in table.slices
        ],
    }


def _intervals_json(scored: "predictions.Scored") -> dict[str, dict[str, float | str]]:
    return {
        key: {"low": ends.low, "high": ends.high, **({"reason": ends.reason} if ends.reason else {})}
        for key, ends in scored.intervals.items()
    }


def _per_class(scored: "predictions.Scored") -> list[Table]:
    """Scores per class, output or column: a row each, two columns per metric."""
    keys_by_class: dict[str, dict[str, str]] = {}
    for key in scored.scores:
        if "[" in key:
            metric, _, class_name = key.partition("[")
            keys_by_class.setdefault(class_name[:-1], {})[metric] = key
    if not keys_by_class:
        return []
    metrics = list(dict.fromkeys(metric for keys in keys_by_class.values() for metric in keys))
    has_interval = {key.partition("[")[0] for key in scored.intervals if "[" in key}
    columns = [name_column("")]
    for metric in metrics:
        columns += [Column(metric), *([Column("interval", rank=1)] if metric in has_interval else [])]
    rows = []
    for class_name, keys in list(keys_by_class.items())[:MOST_CLASSES]:
        cells = [class_name]
        for metric in metrics:
            key = keys.get(metric, "")
            ends = [format_interval(scored.intervals.get(key))] if metric in has_interval else []
            cells += [format_number(scored.scores.get(key)), *ends]
        rows.append(cells)
    n_more = len(keys_by_class) - MOST_CLASSES
    return [Table(columns, rows, more=f"and {n_more} more (--json shows all)" if n_more > 0 else "")]


def _missing_intervals(scored: "predictions.Scored") -> list[Paragraph]:
    """Why scores of classes or targets have no interval, at most MOST_REASONS reasons."""
    reasons = list(scored.without_interval(per_output=True).items())
    n_more = len(reasons) - MOST_REASONS
    more = [Paragraph(f"and {n_more} more without an interval (--json says why)")] if n_more > 0 else []
    return [*(Paragraph(f"no interval of {format_list(keys)}: {why}") for why, keys in reasons[:MOST_REASONS]), *more]


def _confusion(result: "EvalResult") -> list[Table]:
    """The confusion matrix; for many classes or a narrow terminal the most confused pairs instead."""
    target = result.model.target
    if target.kind != "classes" or result.confusion is None:
        return []
    labels, cells = target.labels, result.confusion.tolist()
    pairs = _confused_pairs(labels, cells)
    if len(labels) > MOST_CLASSES:
        return [pairs]
    rows = [(label, *map(_amount, row)) for label, row in zip(labels, cells, strict=True)]
    columns = [name_column("confusion"), *number_columns(labels)]
    return [Table(columns, rows, remark="(rows: truth, columns: predicted)", narrow=pairs)]


def _confused_pairs(labels: Sequence[str], cells: list[list[float]]) -> Table:
    pairs = sorted(
        ((cell, i, j) for i, row in enumerate(cells) for j, cell in enumerate(row) if i != j and cell),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    rows = [
        (labels[i], labels[j], _amount(cell), f"{100 * cell / sum(cells[i]):.0f}%")
        for cell, i, j in pairs[:MOST_CONFUSED]
    ]
    n_more = len(pairs) - MOST_CONFUSED
    more = (
        f"and {format_count(n_more, 'more pair')} of {len(labels)} classes (--json has the matrix)"
        if n_more > 0
        else ""
    )
    return Table(
        [name_column("most confused: truth"), name_column("predicted"), Column("rows"), Column("of that class")],
        rows,
        more=more if rows else "no two classes are confused",
    )


def _amount(cell: float) -> str:
    """A number of rows, or a sum of weights."""
    return format_number(cell) if cell % 1 else f"{cell:.0f}"


def _slices(table: "SliceTable") -> Table:
    """A row per group, worst first: number of rows, the metric they are sorted by, and other metrics."""
    shown = [key for key in table.slices[0].scored.intervals if key != table.metric]
    columns = [
        *(
            name_column(f"by {', '.join(table.columns)}"),
            Column("rows"),
            Column(table.metric),
            Column("interval", rank=1),
        ),
        *(Column(key, rank=2) for key in shown),
    ]
    columns += [Column("", is_text=True, rank=3)] if any(group.is_small for group in table.slices) else []
    rows = [_slice_row(group, table.metric, shown)[: len(columns)] for group in table.slices[:MOST_CLASSES]]
    n_more = len(table.slices) - MOST_CLASSES
    more = f"and {format_count(n_more, 'more group')}; --json shows all" if n_more > 0 else ""
    return Table(columns, rows, more=more)


def _slice_row(group: "Slice", metric: str, shown: list[str]) -> tuple[str, ...]:
    scores = group.scored.scores
    further = [format_number(scores[key]) for key in shown]
    return (
        group.name,
        f"{group.n_rows}",
        format_number(scores[metric]),
        format_interval(group.scored.intervals.get(metric)),
        *further,
        group.remark,
    )
