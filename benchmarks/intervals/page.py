"""The coverage of intervals and sets as tables, on the terminal and in docs/intervals.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.intervals import simulating, splits
from benchmarks.printing import markdown_table

MARKS = {
    "simulated": ("<!-- simulated: begin -->", "<!-- simulated: end -->"),
    "tables": ("<!-- tables: begin -->", "<!-- tables: end -->"),
}


def tables(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """By kind of measurement its table."""
    found = {}
    if simulated := results.get("simulated"):
        sizes = sorted({one["rows"] for one in simulated})
        header = [f"level {simulating.LEVEL:g}", *(f"{size} rows" for size in sizes)]
        found["simulated"] = markdown_table(header, simulating.rows_of(simulated))
    if real := results.get("tables"):
        header = ["table", "test rows", "calibration rows", *(f"{level:g}" for level in splits.LEVELS), "size at 0.9"]
        found["tables"] = markdown_table(header, splits.rows_of(real))
    return found


def write_page(path: Path, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Put the tables between the marks of the page; raises ValueError where it has none."""
    text = path.read_text(encoding="utf-8")
    for kind, table in tables(results).items():
        begin, end = MARKS[kind]
        before, found, rest = text.partition(begin)
        _, found_too, after = rest.partition(end)
        if not found or not found_too:
            raise ValueError(f"{path}: no {begin} and {end} to write between")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    path.write_text(text, encoding="utf-8")
