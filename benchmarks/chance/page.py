"""Both simulations, and their tables on the terminal and in docs/verdicts.md."""

from pathlib import Path
from typing import Any

from benchmarks.chance import choosing, recipes
from benchmarks.printing import write_between


def run(quick: bool, only: str | None) -> dict[str, Any]:
    """`only` is choosing or recipes, or what one of these calls a setting, a recipe or a split."""
    counts = {
        name: room.run(quick, None if only == name else only)
        for name, room in (("choosing", choosing), ("recipes", recipes))
        if only == name or only not in ("choosing", "recipes")
    }
    return {name: found for name, found in counts.items() if found}


def tables(results: dict[str, Any]) -> dict[str, str]:
    """A table of each simulation that has run."""
    makers = {"choosing": choosing.table, "recipes": recipes.table}
    return {name: makers[name](counts) for name, counts in results.items()}


def write_page(path: Path, results: dict[str, Any]) -> None:
    """Put the tables between their marks of the page; raises ValueError where it has none."""
    for name, text in tables(results).items():
        write_between(path, f"chance, {name}", text)
