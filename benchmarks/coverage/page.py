"""The counts as tables, on the terminal and in docs/verdicts.md."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.coverage.kinds import KINDS
from benchmarks.coverage.simulating import Count
from benchmarks.printing import markdown_table, write_between


def tables(counts: Sequence[Count]) -> str:
    """A table of each kind, a row per metric."""
    kinds = [kind for kind in KINDS if any(one["kind"] == kind for one in counts)]
    return "\n\n".join(_table(kind, [one for one in counts if one["kind"] == kind]) for kind in kinds)


def write_page(path: Path, counts: Sequence[Count]) -> None:
    """Put the tables between the marks of the page; raises ValueError where it has none."""
    write_between(path, "coverage", tables(counts))


def _table(kind: str, counts: Sequence[Count]) -> str:
    sizes = sorted({one["rows"] for one in counts})
    metrics = list(dict.fromkeys(one["metric"] for one in counts))
    by_place = {(one["metric"], one["rows"]): one for one in counts}
    header = [f"{kind}: {KINDS[kind].text}", *(f"n = {n}" for n in sizes), "equal, but called different"]
    rows = [
        [
            f"`{metric}`",
            *(_cell(by_place[metric, n]) for n in sizes),
            " ".join(_alarms(by_place[metric, n]) for n in sizes),
        ]
        for metric in metrics
    ]
    return markdown_table(header, rows)


def _cell(one: Count) -> str:
    """`0.95 (2 3) of 80%`: held, with the truth below and above in %; the samples with an interval where not all."""
    given = one["given"]
    if not given:
        return "none"
    held = 1 - (one["below"] + one["above"]) / given
    misses = " ".join(f"{100 * one[side] / given:.0f}" for side in ("below", "above"))
    share = "" if given == one["repeats"] else f" of {100 * given / one['repeats']:.0f}%"
    return f"{held:.2f} ({misses}){share}"


def _alarms(one: Count) -> str:
    return f"{100 * (one['better'] + one['worse']) / one['repeats']:.1f}" if one["compared"] else "-"
