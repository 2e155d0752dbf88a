"""What `mlp eval` shows, as Markdown for a pull request or a job's summary page.

Names come from files: each stands in a code span, where nothing is markup, mention or link.
"""

import re
from collections.abc import Sequence

from mlpcli.cli.verbs.describing import describe_target
from mlpcli.cli.verbs.gates import shown_verdicts, tally
from mlpcli.data.targets.target import ClassTarget
from mlpcli.messages import count, interval, number, on_one_line
from mlpcli.workflows.evaluate import EvalResult
from mlpcli.workflows.slices import FEW_ROWS, SliceTable

MOST_GROUPS = 30


def code(text: str) -> str:
    """Any text as a code span that can stand in a cell of a table."""
    text = on_one_line(text).replace("|", r"\|") or " "
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def eval_markdown(result: EvalResult) -> str:
    """Verdicts, scores with intervals, and groups."""
    target, scored = result.model.target, result.scored
    what = f"{len(target.labels)} classes" if isinstance(target, ClassTarget) else code(describe_target(target))
    confidence = f"{result.certainty.confidence:.4g}"
    lines = [f"### mlp eval: {tally(result.verdicts)}", "", f"{count(result.n_rows, 'row')}, {what}", ""]
    if result.verdicts:
        verdicts = shown_verdicts(result.verdicts)
        cells = [(code(one.name), one.score_text, "pass" if one.passed else "**FAIL**") for one in verdicts]
        lines += [*_table(("gate", "score", "verdict"), cells), ""]
    together = [key for key in scored.scores if "[" not in key]
    lines += _table(
        ("metric", "score", f"interval at {confidence}"),
        [(code(key), number(scored.scores[key]), interval(scored.intervals.get(key))) for key in together],
    )
    for reason, keys in scored.without_interval.items():
        lines += ["", f"no interval of {', '.join(map(code, keys))}: {code(reason)}"]
    for table in result.slice_tables:
        lines += ["", *_slices(table, confidence)]
    return "\n".join(lines)


def _slices(table: SliceTable, confidence: str) -> list[str]:
    shown = [key for key in table.slices[0].scored.intervals if key != table.metric]
    cells = []
    for one in table.slices[:MOST_GROUPS]:
        scores, few = one.scored.scores, f" (under {FEW_ROWS})" if one.is_small else ""
        ends = interval(one.scored.intervals.get(table.metric))
        further = [number(scores[key]) for key in shown]
        cells.append((code(one.name), f"{one.n_rows}{few}", number(scores[table.metric]), ends, *further))
    names = [code(key) for key in shown]
    lines = _table(("group", "rows", code(table.metric), f"interval at {confidence}", *names), cells)
    n_more = len(table.slices) - MOST_GROUPS
    return [*lines, "", f"and {n_more} more groups"] if n_more > 0 else lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    ruler = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, ruler, *rows)]
