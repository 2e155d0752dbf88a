"""What the options of the command line change in the config."""

from mlpcli.config.overrides import Override


def config_overrides(settings: list[str] | None, output: str | None, seed: int | None) -> list[str | Override]:
    """What `--set`, `--output` and `--seed` change in the config, in this order."""
    overrides: list[str | Override] = list(settings or [])
    if output is not None:
        overrides.append(Override("output", output, f"--output {output}"))
    if seed is not None:
        overrides.append(Override("training.seed", seed, f"--seed {seed}"))
    return overrides
