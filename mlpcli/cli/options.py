"""Options that several verbs share."""

from typing import Annotated

import typer

from mlpcli.errors import MlpError

Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on standard error but errors.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any key of the config (training.epochs=50); repeatable."),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of every random choice (training.seed).")]
Output = Annotated[str | None, typer.Option("--output", "-o", metavar="DIR", help="Folder of the run (output).")]
Config = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file; mlp init makes one.")]
Weights = Annotated[str, typer.Argument(metavar="WEIGHTS", help="Model file: weights.npz of a run.")]
Delimiter = Annotated[str | None, typer.Option("--delimiter", help="Field separator; found if not given.")]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Text encoding; found if not given.")]
OnDrift = Annotated[
    str,
    typer.Option(
        "--on-drift",
        metavar="WHAT",
        help="When columns are not as in the training: ignore, warn, or fail (exit 1).",
    ),
]


def parse_number(option: str, text: str) -> float:
    """The number after an option of a verb whose values Typer leaves as texts; raises MlpError."""
    try:
        return float(text)
    except ValueError as error:
        raise MlpError(f"{option} {text}: must be a number.") from error
