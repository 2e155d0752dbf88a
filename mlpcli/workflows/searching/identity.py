"""What must stay the same when a search goes on, so that its trials can be compared."""

from collections.abc import Mapping
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.errors import DataError
from mlpcli.storage.strict_json import flattened

# Keys that may change when a search goes on: none of them changes a trial.
FREE_TO_CHANGE = ("output", "expect", "data.test", "search.trials", "search.seconds", "search.processes")


def search_identity(loaded: LoadedConfig, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What must be the same when a search goes on: every key that changes a trial, and the data.

    `hashes` are those of the training table, "train", and of a validation file, "validation".
    """
    found = dict(flattened(as_plain(loaded.config)))
    kept = {key: value for key, value in found.items() if key not in FREE_TO_CHANGE}
    kept = {key: value for key, value in kept.items() if not key.startswith("expect.")}
    has_test = loaded.config.data.test is not None
    return (
        kept
        | {"rows": "all" if has_test else "without those put aside"}
        | {f"{part} data": own for part, own in hashes.items()}
    )


def refuse_other_search(loaded: LoadedConfig, path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise ConfigError or DataError where the trials of a journal are of another search."""
    if not old:
        return
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) == new.get(key):
            continue
        cure = "choose another --output"
        if key.endswith(" data"):
            what = {"train data": "training data"}.get(key, key)
            raise DataError(f"the {what} differs from what {path} was searched on. Restore it, or {cure}.")
        if key == "rows":
            raise loaded.error(
                "data.test", f"{path} was started with other rows (with data.test, or without). Undo it, or {cure}."
            )
        raise loaded.error(
            key, f"{path} was started with {old.get(key)}, the config says {new.get(key)}. Undo the change, or {cure}."
        )
