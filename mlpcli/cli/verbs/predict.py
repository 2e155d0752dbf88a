"""`mlp predict`."""

import csv
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from mlpcli.cli.cluster_options import Cluster, ClusterSecurity, cluster_at
from mlpcli.cli.job_log import LOG
from mlpcli.cli.options import Delimiter, Encoding, Level, LogFile, OnDrift, Quiet, Weights, parse_level
from mlpcli.cli.usage_errors import refuse_swapped
from mlpcli.errors import MlpError
from mlpcli.messages import format_count

if TYPE_CHECKING:
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.predict import PredictSummary

JSON_LINES_FILE = "predicted.jsonl"  # a file name with the extension of JSON Lines


def predict(
    weights: Weights,
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Table, or - for standard input.")],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Output file, in the format of its extension; - is standard output."
        ),
    ] = "-",
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of each class.")] = False,
    keep: Annotated[str, typer.Option("--keep", metavar="COLUMNS", help="Input columns to copy: id,name or all.")] = "",
    level: Level = "",
    raw: Annotated[bool, typer.Option("--raw", help="Write the raw outputs of the network.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Add the activation of each hidden neuron.")] = False,
    safe_csv: Annotated[
        bool,
        typer.Option("--safe-csv", help="Prefix texts that a spreadsheet would read as formulas with a single quote."),
    ] = False,
    on_drift: OnDrift = "warn",
    cluster: Cluster = "",
    security: ClusterSecurity = "",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    log: LogFile = None,
    quiet: Quiet = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write JSON Lines to standard output: one object per row.")
    ] = False,
) -> None:
    """Predict the target of each row of a table, in the same order.

    Example: mlp predict runs/penguins/weights.npz new.csv --proba --keep island > predicted.csv
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen, write_out
    from mlpcli.workflows.predict import predict as run_prediction
    from mlpcli.workflows.predict import predict_to_file
    from mlpcli.workflows.predicting.chunks import PredictRequest

    LOG.begin(log, "predict", weights=weights, input=source, output=output)
    refuse_swapped("predict", weights, source)
    if json and output != "-":
        raise MlpError(f"--json: is for standard output. A file is written by its ending: -o {JSON_LINES_FILE}")
    request = PredictRequest(
        weights, source, _names(keep), proba, raw, delimiter, encoding, safe_csv, on_drift, hidden, parse_level(level)
    )  # fmt: skip
    screen, cluster_address = Screen(quiet), cluster_at(cluster, security)
    # No progress bar if the predictions go to the same terminal.
    with nullcontext() if output == "-" and sys.stdout.isatty() else show_progress(screen):
        if output == "-":
            summary = run_prediction(request, write_out, JSON_LINES_FILE if json else output, cluster_address)
            sys.stdout.flush()
        else:
            summary = predict_to_file(request, output, cluster_address)
    LOG.event("predicted", rows=summary.n_rows)
    _print_notes(screen, summary, output)
    if summary.drift is not None:
        summary.drift.refuse(on_drift)


def _print_notes(screen: "Screen", summary: "PredictSummary", output: str) -> None:
    """Print the notes on the rows, and the file that was written."""
    for note in (*summary.notes, *([summary.counts_text] if summary.counts_text else [])):
        screen.warn(note)
    if output != "-":
        screen.info(f"Wrote {output}: {format_count(summary.n_rows, 'row')}.")


def _names(keep: str) -> tuple[str, ...]:
    """Names separated by commas; a name that contains one is quoted, as in CSV."""
    names = next(csv.reader([keep]), [])
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
