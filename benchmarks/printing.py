"""Output of results: tables on standard output, and a JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import load

RESULTS = Path(__file__).parent / "results"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table below its title."""
    print(f"\n{title}\n\n{markdown_table(header, rows)}")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join((first, *others))} |"

    rule = "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths))
    return "\n".join([line(header), f"|{rule}|", *map(line, rows)])


def write_between(path: Path, name: str, text: str) -> None:
    """Replace the text between `<!-- NAME: begin -->` and `<!-- NAME: end -->` of a page; raises ValueError."""
    begin, end = (f"<!-- {name}: {side} -->" for side in ("begin", "end"))
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found_too, after = rest.partition(end)
    if not found or not found_too:
        raise ValueError(f"{path}: no {begin} and {end} to write between")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def print_machine(machine: dict[str, Any]) -> None:
    """Print a line on the machine."""
    versions = " · ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    print(
        f"{machine['when']} · {machine['processor']} · {machine['cores']} cores · {machine['memory_gb']} GB · "
        f"load {machine['load_before']} · Python {machine['python']} · {versions}"
    )


def write_result(name: str, machine: dict[str, Any], results: Any, file: str | None, quick: bool) -> None:
    """Write to `file`, or to benchmarks/results/NAME.json; a quick run is written only with `file`."""
    if file is None and quick:
        print("\nA quick run: nothing written.")
        return
    path = RESULTS / f"{name}.json" if file is None else Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"benchmark": name, "quick": quick, "machine": {**machine, "load_after": load()}, "results": results}
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    print(f"\nload {document['machine']['load_after']} · {path}")


def in_time(seconds: float) -> str:
    """Seconds with three digits and a suitable unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs" if seconds < 999.5e-6 else "1 ms"
    return (
        f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"
    )


def in_times(measured: dict[str, Any]) -> list[str]:
    """Median time and CPU time, as the cells of two columns."""
    return [in_time(measured[key]["median"]) for key in ("seconds", "cpu_seconds")]


def in_memory(size: float) -> str:
    """Bytes in MB."""
    return f"{size / 1e6:.0f} MB"
