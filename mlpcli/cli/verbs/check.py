"""`mlp check`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Delimiter, Encoding, Json, OnDrift, Output, Quiet, Seed, Settings


def check(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="YAML file; or a model file, to hold a table against.")
    ],
    source: Annotated[
        str, typer.Argument(metavar="TABLE", help="With a model: table to compare with its training data, or -.")
    ] = "",
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    on_drift: OnDrift = "warn",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Do everything that can fail in a training, without training; or hold a table against a model's training data.

    Example: mlp check configs/penguins.yaml
    """
    from mlpcli.cli.near_misses import refuse_swapped
    from mlpcli.cli.overrides import config_overrides
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.check_view import check_json, check_summary
    from mlpcli.cli.verbs.drift_view import check_table, is_model
    from mlpcli.config.loading import load_config
    from mlpcli.errors import MlpError
    from mlpcli.workflows.check import check as run_check

    screen = Screen(quiet)
    overrides = config_overrides(settings, output, seed)
    refuse_swapped("check", config, source)
    if is_model(config):
        if overrides:
            raise MlpError(f"{config}: a model. --set, --output and --seed go with a config.")
        check_table(screen, config, source, on_drift, delimiter, encoding, json)
        return
    if source:
        raise MlpError(f"{config}: a config, with which no table is checked. Name a model: mlp check WEIGHTS TABLE")
    result = run_check(load_config(config, overrides))
    if json:
        screen.json(check_json(result))
    else:
        check_summary(screen, result)
