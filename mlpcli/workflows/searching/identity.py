"""What must be unchanged when a search is continued, so that its trials are comparable."""

from collections.abc import Mapping
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.errors import DataError
from mlpcli.storage.strict_json import flattened

# Keys that may change when a search is continued, because they do not affect its trials.
FREE_TO_CHANGE = ("output", "expect", "data.test", "search.trials", "search.seconds", "search.processes")


def search_identity(loaded: LoadedConfig, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The values that must be unchanged: those of all keys that affect a trial, and the hashes of the data.

    `hashes` are the SHA-256 of the files by split: "train" and, if it is a file, "validation".
    """
    values = dict(flattened(as_plain(loaded.config)))
    fixed = {key: value for key, value in values.items() if key not in FREE_TO_CHANGE}
    fixed = {key: value for key, value in fixed.items() if not key.startswith("expect.")}
    has_test = loaded.config.data.test is not None
    return (
        fixed
        | {"rows": "all" if has_test else "without those put aside"}
        | {f"{split} data": sha256 for split, sha256 in hashes.items()}
    )


def refuse_other_search(loaded: LoadedConfig, path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise ConfigError or DataError if the identity `old`, of the journal at `path`, is not the `new` one."""
    if not old:
        return
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) == new.get(key):
            continue
        fix = "choose another --output"
        if key.endswith(" data"):
            data_name = {"train data": "training data"}.get(key, key)
            raise DataError(f"the {data_name} differs from what {path} was searched on. Restore it, or {fix}.")
        if key == "rows":
            raise loaded.error(
                "data.test", f"{path} was started with other rows (with data.test, or without). Undo it, or {fix}."
            )
        raise loaded.error(
            key,
            f"{path} was started with {old.get(key)}, the config says {new.get(key)}. Undo the change, or {fix}.",
        )
