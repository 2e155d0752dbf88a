"""Options of several verbs."""

from typing import Annotated

import typer

from mlpcli.cli.completion import complete_drift, complete_metric, complete_setting
from mlpcli.cli.document import Form
from mlpcli.errors import MlpError

Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Write only errors to standard error.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Write more to standard error: a line for every epoch.")]
LogFile = Annotated[
    str | None, typer.Option("--log", metavar="FILE", help="Append events to FILE as JSON lines with time stamps.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a key of the config (training.epochs=50); repeatable.",
        autocompletion=complete_setting,
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Random seed (training.seed).")]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="DIR", help="Output folder of the run (output).")]
Config = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file; mlp init writes one.")]
Level = Annotated[
    str,
    typer.Option(
        "--interval",
        "--set",
        metavar="LEVEL",
        help="Add prediction intervals (TARGET_low, TARGET_high) or sets (TARGET_set) at this level: 0.9.",
    ),
]
Weights = Annotated[str, typer.Argument(metavar="WEIGHTS", help="Model file: weights.npz of a run.")]
Delimiter = Annotated[str | None, typer.Option("--delimiter", help="Field separator; detected if not given.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Text encoding; detected if not given.")]
OnDrift = Annotated[
    str,
    typer.Option(
        "--on-drift",
        metavar="WHAT",
        help="What to do when columns have drifted from the training data: ignore, warn or fail (exit 1).",
        autocompletion=complete_drift,
    ),
]
TestTable = Annotated[str, typer.Argument(metavar="TEST", help="Table with the target column, or -.")]

Minimum = Annotated[
    list[str] | None,
    typer.Option(
        "--min",
        metavar="METRIC=VALUE",
        help="Fail (exit 1) below this value; repeatable.",
        autocompletion=complete_metric,
    ),
]
Maximum = Annotated[
    list[str] | None,
    typer.Option(
        "--max",
        metavar="METRIC=VALUE",
        help="Fail (exit 1) above this value; repeatable.",
        autocompletion=complete_metric,
    ),
]
Confidence = Annotated[str, typer.Option("--confidence", metavar="LEVEL", help="Confidence level of the intervals.")]
Replicates = Annotated[
    str,
    typer.Option("--replicates", metavar="N", help="Number of bootstrap resamples; default 1000, fewer for many rows."),
]
By = Annotated[
    str,
    typer.Option("--by", metavar="COLUMNS", help="Also score each group of rows given by these columns: region,sex."),
]
Cross = Annotated[bool, typer.Option("--cross", help="Score each combination of the columns of --by.")]
GateGroups = Annotated[bool, typer.Option("--gate-groups", help="Apply every gate to each group of --by as well.")]
JUnit = Annotated[str, typer.Option("--junit", metavar="FILE", help="Write the gates as test cases (JUnit XML).")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Write the result as Markdown, for a pull request.")]
Html = Annotated[bool, typer.Option("--html", help="Write the result as an HTML page.")]


def form_of(json: bool = False, markdown: bool = False, html: bool = False) -> Form:
    """The output format that the flags select; raises MlpError for more than one."""
    forms: tuple[tuple[Form, bool], ...] = (("json", json), ("markdown", markdown), ("html", html))
    selected = [form for form, is_selected in forms if is_selected]
    if len(selected) > 1:
        raise MlpError(f"--{selected[0]} and --{selected[1]}: cannot be combined. Choose one format.")
    return selected[0] if selected else "text"


def parse_number(option: str, text: str, above: float | None = None) -> float:
    """The number in `text`, the unconverted value of `option`; raises MlpError."""
    try:
        number = float(text)
    except ValueError as error:
        raise MlpError(f"{option} {text}: must be a number.") from error
    if above is not None and not number > above:
        raise MlpError(f"{option} {text}: must be greater than {above:g}.")
    return number


def parse_count(option: str, text: str, least: int = 0) -> int:
    """The integer in `text`, the unconverted value of `option`; raises MlpError."""
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= least):
        raise MlpError(f"{option} {text}: must be an integer of {least} or more.")
    return int(text)


def parse_level(text: str) -> float | None:
    """The level of `--interval`; None without it. Raises MlpError if it is no number."""
    return parse_number("--interval", text) if text else None
