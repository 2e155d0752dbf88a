"""What cannot be trained on shards, refused by name before anything is read."""

from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import MlpError
from mlpcli.messages import size
from mlpcli.workflows.preparing.resolution import uses_folds
from mlpcli.workflows.preparing.rows.data_store import memory_for_data

# Bytes a row: of a column of numbers and a copy of it, and of targets, weights, order and places of the rows.
COLUMN_BYTES, ROW_BYTES = 16, 32


def refuse_long_columns(loaded: LoadedConfig, n_rows: int) -> None:
    """Raise ConfigError where this machine has no room for one column of so many rows: it gathers each of them."""
    memory, needed = memory_for_data(loaded), n_rows * (COLUMN_BYTES + ROW_BYTES)
    if memory is not None and needed > memory:
        raise loaded.error(
            "budget.memory",
            f"a column of {n_rows} rows, and what is kept of each row, takes {size(needed)} here, where each column is "
            f"gathered once; there are {size(memory)} for data. Start from a machine with more memory, or raise it.",
        )


def refuse_unsharded(loaded: LoadedConfig) -> None:
    """Raise ConfigError for a config, MlpError for data, that a cluster cannot train on together."""
    data, training = loaded.config.data, loaded.config.training
    if "-" in data.train:
        raise MlpError("--cluster: its workers cannot read standard input. Name files that they see, too.")
    if uses_folds(loaded):
        raise loaded.error(
            "model.members.rows",
            "folds are not trained on a cluster. Write all or bootstrap, or train without --cluster.",
        )
    if loaded.config.model.members.select != "all":
        text = "a cluster keeps all members. Write all, or train without --cluster."
        raise loaded.error("model.members.select", text)
    if training.engine == "compiled":
        raise loaded.error("training.engine", "a cluster trains with NumPy. Write auto, or train without --cluster.")
