"""`mlp train`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Config, Json, Output, Quiet, Seed, Settings


def train(
    config: Config,
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    resume: bool = typer.Option(False, "--resume", help="Go on from the checkpoint of an unfinished run."),
    if_changed: bool = typer.Option(False, "--if-changed", help="Do nothing where the run is up to date."),
    seconds: Annotated[float | None, typer.Option("--max-seconds", help="End after so long (budget.seconds).")] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--max-epochs-without-gain", min=1, help="End after so many epochs without a better one."),
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--max-memory", metavar="SIZE", help="Most memory, such as 2GB (budget.memory).")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a network and write weights, metrics and history into a run folder.

    Example: mlp train configs/penguins.yaml --set training.epochs=50
    """
    from mlpcli.cli.overrides import Limits, config_overrides, resume_command
    from mlpcli.cli.progress import TrainingView
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.train_view import refuse_failed, train_json, train_summary
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.train import train as run_training
    from mlpcli.workflows.train import train_if_changed

    limits = Limits(seconds, epochs, memory)
    loaded = load_config(config, [*config_overrides(settings, output, seed), *limits.overrides()])
    screen = Screen(quiet)
    flags = [*limits.words(), *["--quiet"] * quiet, *["--json"] * json]
    command = resume_command(config, settings, output, seed, flags)
    result = (train_if_changed if if_changed else run_training)(loaded, TrainingView(screen), resume, command)
    if json:
        screen.json(train_json(result))
    else:
        train_summary(screen, result)
    refuse_failed(result)
