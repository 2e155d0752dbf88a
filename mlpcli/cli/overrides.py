"""Config overrides by command-line options, and the options again for the resume command."""

import shlex
from dataclasses import dataclass
from typing import Any

from mlpcli.config.loading import Override


@dataclass(frozen=True)
class Limits:
    """The limits given to `mlp train`; None for no limit."""

    seconds: float | None
    epochs_without_gain: int | None
    memory: str | None

    def overrides(self) -> list[str | Override]:
        """The limits as overrides of the config."""
        limits: list[tuple[str, Any, str]] = [
            ("budget.seconds", self.seconds, "--max-seconds"),
            ("training.early_stopping.patience", self.epochs_without_gain, "--max-epochs-without-gain"),
            ("budget.memory", self.memory, "--max-memory"),
        ]
        overrides = [Override(key, value, f"{option} {value}") for key, value, option in limits if value is not None]
        if self.epochs_without_gain is not None:  # the limit must not grow with the best epoch
            text = f"--max-epochs-without-gain {self.epochs_without_gain}"
            overrides.append(Override("training.early_stopping.patience_factor", 1.0, text))
        return list(overrides)

    def arguments(self) -> list[str]:
        """The options as command-line arguments."""
        arguments = {
            "--max-seconds": None if self.seconds is None else f"{self.seconds:g}",
            "--max-epochs-without-gain": self.epochs_without_gain,
            "--max-memory": self.memory,
        }
        return [word for option, value in arguments.items() if value is not None for word in (option, str(value))]


def config_overrides(settings: list[str] | None, output: str | None, seed: int | None) -> list[str | Override]:
    """The overrides by `--set`, `--output` and `--seed`, in this order."""
    overrides: list[str | Override] = list(settings or [])
    if output is not None:
        overrides.append(Override("output", output, f"--output {output}"))
    if seed is not None:
        overrides.append(Override("training.seed", seed, f"--seed {seed}"))
    return overrides


def resume_command(
    config: str,
    settings: list[str] | None,
    output: str | None,
    seed: int | None,
    rest: list[str],
    verb: str = "train",
) -> str:
    """The command that resumes an interrupted training or cross-validation; `rest` are further arguments."""
    words = ["mlp", verb, config]
    for setting in settings or []:
        words += ["--set", setting]
    words += ["--output", output] if output is not None else []
    words += ["--seed", str(seed)] if seed is not None else []
    return shlex.join([*words, "--resume", *rest])


def gate_arguments(minimum: list[str] | None, maximum: list[str] | None) -> list[str]:
    """The gates as command-line arguments."""
    gates = {"--min": minimum, "--max": maximum}
    return [word for option, texts in gates.items() for text in texts or () for word in (option, text)]
