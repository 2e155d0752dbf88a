"""`mlp check`."""

from mlpcli.cli.options import Config, Json, Output, Quiet, Seed, Settings


def check(
    config: Config,
    settings: Settings = None,
    output: Output = None,
    seed: Seed = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Do everything that can fail in a training, without training, and show the resolved config.

    Example: mlp check configs/penguins.yaml
    """
    from mlpcli.cli.check_summary import check_json, check_summary
    from mlpcli.cli.overrides import config_overrides
    from mlpcli.cli.render import Screen
    from mlpcli.config.loading import load_config
    from mlpcli.workflows.check import check as run_check

    result = run_check(load_config(config, config_overrides(settings, output, seed)))
    screen = Screen(quiet)
    if json:
        screen.json(check_json(result))
    else:
        check_summary(screen, result)
