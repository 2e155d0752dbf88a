"""`mlp train`."""

import shlex

import typer

from mlpcli.cli.options import Config, Json, Output, Quiet, Seed, Settings


def train(
    config: Config,
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    resume: bool = typer.Option(False, "--resume", help="Go on from the checkpoint of an unfinished run."),
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a network and write weights, metrics and history into a run folder.

    Example: mlp train configs/penguins.yaml --set training.epochs=50
    """
    from mlpcli.cli.overrides import config_overrides
    from mlpcli.cli.progress import TrainingView
    from mlpcli.cli.render import Screen
    from mlpcli.cli.train_summary import train_json, train_summary
    from mlpcli.cli.verdicts import refuse_missed
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.train import train as run_training

    loaded = load_config(config, config_overrides(settings, output, seed))
    screen = Screen(quiet)
    flags = ["--quiet"] * quiet + ["--json"] * json
    command = _resume_command(config, settings, output, seed, flags)
    result = run_training(loaded, TrainingView(screen), resume, command)
    if json:
        screen.json(train_json(result))
    else:
        train_summary(screen, result)
    refuse_missed(result.outcome.verdicts)


def _resume_command(
    config: str, settings: list[str] | None, output: str | None, seed: int | None, flags: list[str]
) -> str:
    words = ["mlp", "train", config]
    for setting in settings or []:
        words += ["--set", setting]
    words += ["--output", output] if output is not None else []
    words += ["--seed", str(seed)] if seed is not None else []
    return shlex.join([*words, "--resume", *flags])
