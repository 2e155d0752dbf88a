"""The errors a user can cause, and the exit code of each.

    MlpError            2   the input is wrong
    ├── ConfigError     2   the YAML file or --set
    ├── DataError       2   a table, or a table that does not fit the config or the model
    ├── ModelFileError  2   weights.npz or checkpoint.npz
    ├── OutputError     2   a file or folder that cannot be written
    ├── GateMissed      1   ran, and the answer is no
    ├── Diverged        3   the loss is no longer finite
    ├── ClusterLost     3   a cluster cannot go on with a training; what was done is saved
    └── Interrupted   130   stopped by a signal (143 for SIGTERM), checkpoint saved

A message is one to three lines: what, where, what to do. Anything that is not an `MlpError` is a bug in mlpcli (exit
code 70).
"""

from collections.abc import Iterable
from difflib import get_close_matches

# Characters of a name that is listed in a message.
LONGEST_NAME = 60


class MlpError(Exception):
    """A mistake the user can repair; `str(error)` is the whole message."""

    exit_code = 2


class MlpWarning(UserWarning):
    """What is odd in rows that are answered all the same, from Python; the command line writes notes."""


class ConfigError(MlpError):
    """The config file or a `--set` is wrong."""


class DataError(MlpError):
    """A table cannot be read, or does not fit the config or the model."""

    names_config = False  # whether the message says where the config names the table


class IndivisibleRows(DataError):
    """Rows cannot be divided into training and validation as asked; the message does not name their table."""


class ModelFileError(MlpError):
    """A model file or a checkpoint is missing, damaged, foreign or newer than this program."""


class OutputError(MlpError):
    """A file or a folder cannot be written."""


class GateMissed(MlpError):
    """The work was done and the verdict is no."""

    exit_code = 1


class Diverged(MlpError):
    """The loss stopped being a finite number."""

    exit_code = 3


class ClusterLost(MlpError):
    """The scheduler is gone, or no worker is left that can do the work."""

    exit_code = 3


class Interrupted(MlpError):
    """A signal ended the work; what was done is saved.

    `exit_code` is 130 for Ctrl-C (SIGINT) and 143 for SIGTERM.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that a misspelt one may mean, or ""."""
    names = list(known)
    same = [one for one in names if one.casefold() == name.casefold()]
    return next(iter(same or get_close_matches(name, names, n=1, cutoff=0.7)), "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What a message on an unknown name ends with, led by a space: the nearest of the known names, or some of them."""
    names = list(known)
    if near := nearest(name, names):
        return f" Did you mean {near}?"
    shown = [one if len(one) <= LONGEST_NAME else one[: LONGEST_NAME - 3] + "..." for one in names[:8]]
    more = f", and {len(names) - 8} more" if len(names) > 8 else ""
    return f" There is: {', '.join(shown)}{more}." if names else ""
