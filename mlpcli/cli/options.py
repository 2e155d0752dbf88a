"""Options that several verbs share, and what they make of the config."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mlpcli.config.overrides import Override

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


def config_overrides(settings: list[str] | None, output: str | None, seed: int | None) -> "list[str | Override]":
    """What `--set`, `--output` and `--seed` change in the config, in this order."""
    from mlpcli.config.overrides import Override

    overrides: list[str | Override] = list(settings or [])
    if output is not None:
        overrides.append(Override("output", output, f"--output {output}"))
    if seed is not None:
        overrides.append(Override("training.seed", seed, f"--seed {seed}"))
    return overrides
