"""The trackers that a config asks for, and what they are told of a training."""

from collections.abc import Callable

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain, dump_yaml
from mlpcli.storage.strict_json import flattened
from mlpcli.tracking.kinds import kinds_of, what_is_missing
from mlpcli.tracking.tracker import Tracking, Training


def require_trackers(loaded: LoadedConfig) -> None:
    """Raise ConfigError where the package of a tracker is not installed: before anything is read."""
    if missing := what_is_missing(loaded.config.tracking):
        raise loaded.error("tracking", missing)


def make_tracking(loaded: LoadedConfig, note: Callable[[str], None]) -> Tracking:
    """The trackers, not yet started."""
    return Tracking(kinds_of(loaded.config.tracking), note)


def describe_training(loaded: LoadedConfig, run: str, from_epoch: int) -> Training:
    """What they are told before the first step of the run in this folder."""
    return Training(run, dict(flattened(as_plain(loaded.config))), dump_yaml(loaded.config), from_epoch)
