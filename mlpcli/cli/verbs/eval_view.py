"""What `mlp eval` shows."""

from typing import Any

from rich.text import Text

from mlpcli.cli.markdown import eval_markdown
from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.cli.verbs.describing import describe_target
from mlpcli.cli.verbs.gates import gates_json, show_verdicts
from mlpcli.data.targets.target import ClassTarget
from mlpcli.errors import MlpError
from mlpcli.messages import count, interval, number
from mlpcli.workflows.certainty import Scored
from mlpcli.workflows.evaluate import EvalResult
from mlpcli.workflows.predict import describe_counts
from mlpcli.workflows.slices import FEW_ROWS, SliceTable

# Of more classes, outputs or columns than these only what concerns all of them is shown; of groups the worst.
MOST_CLASSES = 30


def show_eval(screen: Screen, result: EvalResult, as_json: bool, as_markdown: bool) -> None:
    """The answer in the form that is asked for; raises MlpError for two of them."""
    if as_json and as_markdown:
        raise MlpError("--json and --markdown: two forms of one answer. Choose one.")
    if as_json:
        screen.json(eval_json(result))
        return
    odd = describe_counts(result.counts)
    for note in (*result.notes, *([odd] if odd else [])):
        screen.warn(note)
    if as_markdown:
        screen.answer(eval_markdown(result))
    else:
        eval_summary(screen, result)


def eval_summary(screen: Screen, result: EvalResult) -> None:
    """Every score with its interval, the confusion matrix, the groups, and a line per gate."""
    target, scored = result.model.target, result.scored
    confidence = f"intervals at {result.certainty.confidence:.4g}"
    screen.answer(f"{count(result.n_rows, 'row')} · {describe_target(target)} · {confidence}")
    together = [key for key in scored.scores if "[" not in key]
    lines = aligned([(key, number(scored.scores[key]), interval(scored.intervals.get(key))) for key in together])
    for line in lines:
        screen.answer(line)
    for reason, keys in scored.without_interval.items():
        screen.answer(f"no interval of {', '.join(keys)}: {reason}")
    _show_parts(screen, scored)
    if isinstance(target, ClassTarget) and result.confusion is not None and len(target.labels) <= MOST_CLASSES:
        screen.answer()
        rows: list[Row] = [("confusion", *target.labels)]
        rows += [
            (label, *(number(cell) if cell % 1 else f"{cell:.0f}" for cell in cells))
            for label, cells in zip(target.labels, result.confusion.tolist(), strict=True)
        ]
        lines = aligned(rows)
        screen.answer(Text.assemble(lines[0], ("   (rows: truth, columns: predicted)", "dim")))
        for line in lines[1:]:
            screen.answer(line)
    for table in result.slice_tables:
        _show_slices(screen, table)
    show_verdicts(screen, result.verdicts)


def eval_json(result: EvalResult) -> dict[str, Any]:
    """Scores, intervals, gates, groups and the confusion matrix."""
    document: dict[str, Any] = {
        "n_rows": result.n_rows,
        "task": result.model.target.task,
        "scores": result.scored.scores,
        "confidence": result.certainty.confidence,
        "intervals": _intervals_json(result.scored),
        "gates": gates_json(result.verdicts),
        "passed": result.passed,
        "n_missing": result.counts.n_missing,
        "n_unseen": result.counts.n_unseen,
    }
    if isinstance(result.model.target, ClassTarget):
        document |= {"classes": result.model.target.labels, "confusion": result.confusion}
    if result.slice_tables:
        document["slices"] = [_slices_json(table) for table in result.slice_tables]
    return document


def _slices_json(table: SliceTable) -> dict[str, Any]:
    return {
        "by": table.columns,
        "metric": table.metric,
        "groups": [
            {
                "name": one.name,
                "n_rows": one.n_rows,
                "is_small": one.is_small,
                "scores": one.scored.scores,
                "intervals": _intervals_json(one.scored),
            }
            for one in table.slices
        ],
    }


def _intervals_json(scored: Scored) -> dict[str, dict[str, float | str]]:
    return {
        key: {"low": one.low, "high": one.high, **({"reason": one.reason} if one.reason else {})}
        for key, one in scored.intervals.items()
    }


def _show_parts(screen: Screen, scored: Scored) -> None:
    """Scores per class, output or column, as a table: a row each, two columns per metric."""
    parts: dict[str, dict[str, str]] = {}
    for key in scored.scores:
        if "[" in key:
            metric, _, part = key.partition("[")
            parts.setdefault(part[:-1], {})[metric] = key
    if not parts or len(parts) > MOST_CLASSES:
        return
    rows: list[Row] = [("", *(cell for metric in next(iter(parts.values())) for cell in (metric, "")))]
    for part, keys in parts.items():
        cells = [(number(scored.scores[key]), interval(scored.intervals.get(key))) for key in keys.values()]
        rows.append((part, *(text for pair in cells for text in pair)))
    screen.answer()
    screen.answer_table(rows, gap=2)


def _show_slices(screen: Screen, table: SliceTable) -> None:
    """A row for each group, the worst first: how many rows, the metric they are sorted by, and further ones."""
    shown = [key for key in table.slices[0].scored.intervals if key != table.metric]
    rows: list[Row] = [(f"by {', '.join(table.columns)}", "rows", table.metric, "", *shown)]
    for one in table.slices[:MOST_CLASSES]:
        scores, intervals = one.scored.scores, one.scored.intervals
        cells = (number(scores[table.metric]), interval(intervals.get(table.metric)))
        few = [f"under {FEW_ROWS} rows"] if one.is_small else []
        rows.append((one.name, f"{one.n_rows}", *cells, *(number(scores[key]) for key in shown), *few))
    screen.answer()
    screen.answer_table(rows)
    if len(table.slices) > MOST_CLASSES:
        screen.answer(f"and {len(table.slices) - MOST_CLASSES} more groups; --json shows all")
