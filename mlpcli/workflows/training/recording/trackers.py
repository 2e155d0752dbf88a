"""The trackers of the section `tracking`, and what they receive at the start of a training."""

from collections.abc import Callable

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain, dump_yaml
from mlpcli.storage.strict_json import flattened
from mlpcli.tracking.kinds import kinds_of, what_is_missing
from mlpcli.tracking.tracker import Tracking, Training


def require_trackers(loaded: LoadedConfig) -> None:
    """Raise ConfigError if the package of a tracker is not installed; called before the data is read."""
    if missing := what_is_missing(loaded.config.tracking):
        raise loaded.error("tracking", missing)


def make_tracking(loaded: LoadedConfig, note: Callable[[str], None]) -> Tracking:
    """Make the trackers of the config, not started; `note` receives messages for the user."""
    return Tracking(kinds_of(loaded.config.tracking), note)


def start_tracking(tracking: Tracking, loaded: LoadedConfig, run: str, from_epoch: int) -> None:
    """Start the trackers of the config, if any, with the run folder, the flat config and its YAML."""
    if loaded.config.tracking:  # writing YAML is a tenth of a small training
        tracking.start(Training(run, dict(flattened(as_plain(loaded.config))), dump_yaml(loaded.config), from_epoch))
