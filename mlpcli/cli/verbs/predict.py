"""`mlp predict`."""

import csv
import sys
from contextlib import nullcontext
from typing import Annotated

import typer

from mlpcli.cli.cluster_options import Cluster, ClusterSecurity, cluster_at
from mlpcli.cli.job_log import LOG
from mlpcli.cli.near_misses import refuse_swapped
from mlpcli.cli.options import Delimiter, Encoding, Level, LogFile, OnDrift, Quiet, Weights, read_level
from mlpcli.errors import MlpError

JSON_LINES_FILE = "predicted.jsonl"  # a name with the ending of JSON Lines


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
    from mlpcli.cli.progress.bars import shown_work
    from mlpcli.cli.rendering.terminal import Screen, write_out
    from mlpcli.workflows.predict import describe_counts, predict_to_file
    from mlpcli.workflows.predict import predict as run_prediction
    from mlpcli.workflows.predicting.chunks import PredictRequest

    LOG.begin(log, "predict", weights=weights, input=source, output=output)
    refuse_swapped("predict", weights, source)
    if json and output != "-":
        raise MlpError(f"--json: is for standard output. A file is written by its ending: -o {JSON_LINES_FILE}")
    request = PredictRequest(
        weights, source, _names(keep), proba, raw, delimiter, encoding, safe_csv, on_drift, hidden, read_level(level)
    )  # fmt: skip
    screen, place = Screen(quiet), cluster_at(cluster, security)
    # A bar among rows that scroll by on the same terminal would spoil both.
    with nullcontext() if output == "-" and sys.stdout.isatty() else shown_work(screen):
        if output == "-":
            summary = run_prediction(request, write_out, JSON_LINES_FILE if json else output, place)
            sys.stdout.flush()
        else:
            summary = predict_to_file(request, output, place)
    LOG.note("predicted", rows=summary.n_rows)
    odd = describe_counts(summary.counts)
    for note in (*summary.notes, *([odd] if odd else [])):
        screen.warn(note)
    if summary.drift is not None:
        summary.drift.refuse(on_drift)


def _names(keep: str) -> tuple[str, ...]:
    """Names as a line of CSV: one with a comma in it stands in quotes."""
    names = next(csv.reader([keep]), [])
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
