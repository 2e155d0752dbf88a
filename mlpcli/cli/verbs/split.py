"""`mlp split`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Document, Paragraph, Table, name_column, number_columns
from mlpcli.cli.options import Delimiter, Encoding, Json, Quiet, form_of, parse_count, parse_number
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.messages import format_count

if TYPE_CHECKING:
    from mlpcli.workflows.split import SplitResult

Source = Annotated[str, typer.Argument(metavar="TABLE", help="Table to split.")]
Folder = Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Output folder.")]
Validation = Annotated[
    str, typer.Option("--validation", metavar="FRACTION", help="Fraction of validation rows; 0 for none.")
]
Test = Annotated[str, typer.Option("--test", metavar="FRACTION", help="Fraction of test rows; 0 for none.")]
Group = Annotated[str, typer.Option("--group", metavar="COLUMN", help="Keep rows with equal values in one file.")]
Time = Annotated[
    str, typer.Option("--time", metavar="COLUMN", help="Split by time: the latest rows are the test rows.")
]
Gap = Annotated[str, typer.Option("--gap", metavar="SPAN", help="With --time: days (or units) between the splits.")]
Hash = Annotated[str, typer.Option("--hash", metavar="COLUMN", help="Split by a stable hash of an id.")]
Stratify = Annotated[str, typer.Option("--stratify", metavar="COLUMN", help="Stratify by the values of a column.")]
Copies = Annotated[bool, typer.Option("--copies", help="Keep duplicate rows in one file.")]
Seed = Annotated[str, typer.Option("--seed", metavar="N", help="Random seed.")]
Ending = Annotated[
    str, typer.Option("--format", metavar="ENDING", help="csv, jsonl or parquet; default: that of TABLE.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]


def split(
    source: Source,
    folder: Folder = ".",
    validation: Validation = "0.2",
    test: Test = "0.2",
    group: Group = "",
    time: Time = "",
    gap: Gap = "0",
    hash: Hash = "",
    stratify: Stratify = "",
    copies: Copies = False,
    seed: Seed = "0",
    ending: Ending = "",
    force: Force = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Split a table into files with train, validation and test rows.

    Example: mlp split data/penguins.csv --stratify species -o parts
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.workflows.split import SplitRequest
    from mlpcli.workflows.split import split as run_split

    screen, fractions = Screen(quiet), (parse_number("--validation", validation), parse_number("--test", test))
    request = SplitRequest(
        source, folder, *fractions, group, time, hash, parse_number("--gap", gap), stratify, copies,
        parse_count("--seed", seed), ending, force, delimiter, encoding,
    )  # fmt: skip
    with show_progress(screen, "writing"):
        result = run_split(request)
    screen.write_result(document(result), as_json(result), form_of(json))


def document(result: "SplitResult") -> Document:
    """A row for each file."""
    rows = [(file.name, str(file.n_rows), f"{file.n_rows / result.n_rows:.1%}", file.path) for file in result.files]
    columns = [name_column(""), *number_columns(["rows", "fraction"]), name_column("file")]
    left = (
        f"{format_count(result.n_left_out, 'row')} in no file: between the splits in time, or of a group that begins "
        "earlier."
    )
    blocks: list[Block] = [Table(columns, rows), *([Paragraph(left)] if result.n_left_out else [])]
    return Document(f"{format_count(result.n_rows, 'row')} of {result.source}", blocks, result.notes, "mlp split")


def as_json(result: "SplitResult") -> dict[str, Any]:
    """The files with their numbers of rows."""
    return {
        "source": result.source,
        "n_rows": result.n_rows,
        "n_left_out": result.n_left_out,
        "files": {file.name: {"path": file.path, "n_rows": file.n_rows} for file in result.files},
    }
