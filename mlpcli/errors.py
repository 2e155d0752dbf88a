"""The errors a user can cause, and the exit code of each.

    MlpError            2   the input is wrong
    ├── ConfigError     2   the YAML file or --set
    ├── DataError       2   a table, or a table that does not fit the config or the model
    ├── ModelFileError  2   weights.npz or checkpoint.npz
    ├── OutputError     2   a file or folder that cannot be written
    ├── GateMissed      1   the command ran, and its verdict is negative
    ├── Diverged        3   the loss is no longer finite
    ├── ClusterLost     3   a cluster cannot continue a training; a checkpoint is saved
    └── Interrupted   130   stopped by a signal (143 for SIGTERM), checkpoint saved

A message is one to three lines: what, where, what to do. Anything that is not an `MlpError` is a bug in mlpcli (exit
code 70).
"""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

# Longer names are cut in messages.
LONGEST_NAME = 60


class MlpError(Exception):
    """An error that the user can correct; `str(error)` is the whole message."""

    exit_code = 2


class MlpWarning(UserWarning):
    """A warning of the Python interface on rows that are predicted although they are unusual.

    The command line writes notes instead.
    """


class ConfigError(MlpError):
    """The config file or a `--set` is invalid."""


class DataError(MlpError):
    """A table cannot be read, or does not fit the config or the model."""

    names_config = False  # whether the message already has the line of the config that names the table


class IndivisibleRows(DataError):
    """Rows cannot be split into training and validation as configured; the message does not name their table."""


class ModelFileError(MlpError):
    """A model file or a checkpoint is missing, damaged, foreign or newer than this program."""


class OutputError(MlpError):
    """A file or a folder cannot be written."""


class GateMissed(MlpError):
    """The command completed, and a gate is missed or a check failed."""

    exit_code = 1


class Diverged(MlpError):
    """The loss is no longer finite."""

    exit_code = 3


class ClusterLost(MlpError):
    """The scheduler cannot be reached, or no worker is left."""

    exit_code = 3


class Interrupted(MlpError):
    """A signal ended the command after its state was saved.

    `exit_code` is 130 for Ctrl-C (SIGINT) and 143 for SIGTERM.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a misspelt one, "" if none is close."""
    names = list(known)
    same = [other for other in names if other.casefold() == name.casefold()]
    return next(iter(same or get_close_matches(name, names, n=1, cutoff=0.7)), "")


def nearest_file(name: str, known: Iterable[str]) -> str:
    """As `nearest`, for files: names that share little but their ending are not close."""
    stem = _stem(name)
    return nearest(name, (other for other in known if SequenceMatcher(None, stem, _stem(other)).ratio() >= 0.6))


def _stem(name: str) -> str:
    return name.partition(".")[0].casefold()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name, with a leading space: the nearest known name, or the first eight."""
    names = list(known)
    if near := nearest(name, names):
        return f" Did you mean {near}?"
    shown = [other if len(other) <= LONGEST_NAME else other[: LONGEST_NAME - 3] + "..." for other in names[:8]]
    more = f", and {len(names) - 8} more" if len(names) > 8 else ""
    return f" There is: {', '.join(shown)}{more}." if names else ""
