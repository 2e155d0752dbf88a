"""`mlp split`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Document, Paragraph, Table, names, numbers
from mlpcli.cli.options import Delimiter, Encoding, Json, Quiet, form_of, parse_count, parse_number
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.messages import count

if TYPE_CHECKING:
    from mlpcli.workflows.split import SplitResult

Source = Annotated[str, typer.Argument(metavar="TABLE", help="Table to split.")]
Folder = Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the files.")]
Validation = Annotated[str, typer.Option("--validation", metavar="FRACTION", help="Validation rows; 0 for none.")]
Test = Annotated[str, typer.Option("--test", metavar="FRACTION", help="Test rows; 0 for none.")]
Group = Annotated[str, typer.Option("--group", metavar="COLUMN", help="Keep rows of one value in one file.")]
Time = Annotated[str, typer.Option("--time", metavar="COLUMN", help="Earlier rows train, the latest test.")]
Gap = Annotated[str, typer.Option("--gap", metavar="SPAN", help="With --time: days (or units) left out between files.")]
Hash = Annotated[str, typer.Option("--hash", metavar="COLUMN", help="Split by a stable hash of an id.")]
Stratify = Annotated[str, typer.Option("--stratify", metavar="COLUMN", help="Spread the values of a column evenly.")]
Copies = Annotated[bool, typer.Option("--copies", help="Keep equal rows in one file.")]
Seed = Annotated[str, typer.Option("--seed", metavar="N", help="Seed of the random choice.")]
Ending = Annotated[str, typer.Option("--format", metavar="ENDING", help="csv, jsonl, parquet; that of TABLE.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]


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
    """Write the rows of a table to files of their own: train, validation and test.

    Example: mlp split data/penguins.csv --stratify species -o parts
    """
    from mlpcli.cli.progress.bars import shown_work
    from mlpcli.workflows.split import SplitRequest
    from mlpcli.workflows.split import split as run_split

    screen, fractions = Screen(quiet), (parse_number("--validation", validation), parse_number("--test", test))
    request = SplitRequest(
        source, folder, *fractions, group, time, hash, parse_number("--gap", gap), stratify, copies,
        parse_count("--seed", seed), ending, force, delimiter, encoding,
    )  # fmt: skip
    with shown_work(screen, "writing"):
        result = run_split(request)
    screen.give(document(result), as_json(result), form_of(json))


def document(result: "SplitResult") -> Document:
    """A row for each file."""
    rows = [(one.name, str(one.n_rows), f"{one.n_rows / result.n_rows:.1%}", one.path) for one in result.parts]
    columns = [names(""), *numbers(["rows", "fraction"]), names("file")]
    left = (
        f"{count(result.n_left_out, 'row')} in no file: between the parts in time, or of a group that begins earlier."
    )
    blocks: list[Block] = [Table(columns, rows), *([Paragraph(left)] if result.n_left_out else [])]
    return Document(f"{count(result.n_rows, 'row')} of {result.source}", blocks, result.notes, "mlp split")


def as_json(result: "SplitResult") -> dict[str, Any]:
    """The files, with their rows."""
    return {
        "source": result.source,
        "n_rows": result.n_rows,
        "n_left_out": result.n_left_out,
        "files": {one.name: {"path": one.path, "n_rows": one.n_rows} for one in result.parts},
    }
