"""Checks whether a config and its data can be trained on shards."""

from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import MlpError
from mlpcli.messages import format_size
from mlpcli.workflows.preparing.resolution import uses_folds
from mlpcli.workflows.preparing.rows.data_store import memory_for_data

# Bytes per row: a numeric column and a copy of it; a column of codes and a copy; targets, order and row indices.
COLUMN_BYTES, CODE_BYTES, ROW_BYTES = 16, 8, 60


def must_sketch(loaded: LoadedConfig, n_rows: int) -> bool:
    """Whether numeric columns of `n_rows` rows must be sketched by the workers, as they do not fit into memory here.

    Raises ConfigError if even the columns of codes do not fit, or if the config needs whole numeric columns here.
    """
    memory = memory_for_data(loaded)
    if memory is None or n_rows * (COLUMN_BYTES + ROW_BYTES) <= memory:
        return False
    needed = n_rows * (CODE_BYTES + ROW_BYTES)
    if needed > memory:
        raise loaded.error(
            "budget.memory",
            f"a column of texts of {n_rows} rows, and what is kept of each row, takes {format_size(needed)} here; "
            f"there are {format_size(memory)} for data. Start from a machine with more memory, or raise it.",
        )
    for key, is_set, remedy in (
        ("data.weight", loaded.config.data.weight is not None, "leave it out"),
        ("preprocess.encoding", loaded.config.preprocess.encoding.uses_targets, "write edges: quantile"),
    ):
        if is_set:
            raise loaded.error(
                key,
                f"needs whole columns of numbers here: with what is kept of each row, one of {n_rows} rows takes "
                f"{format_size(n_rows * (COLUMN_BYTES + ROW_BYTES))}; there are {format_size(memory)} for data. "
                f"Start from a machine with more memory, or {remedy}.",
            )
    return True


def refuse_unsharded(loaded: LoadedConfig) -> None:
    """Raise ConfigError for a config that shards cannot train, and MlpError for standard input."""
    data, training = loaded.config.data, loaded.config.training
    if "-" in data.train:
        raise MlpError("--cluster: its workers cannot read standard input. Name files that they can read.")
    if uses_folds(loaded):
        raise loaded.error(
            "model.members.rows",
            "folds are not trained on a cluster. Write all or bootstrap, or train without --cluster.",
        )
    if loaded.config.model.members.select != "all":
        text = "a cluster trains all members. Write all, or train without --cluster."
        raise loaded.error("model.members.select", text)
    if training.engine == "compiled":
        raise loaded.error("training.engine", "a cluster trains with NumPy. Write auto, or train without --cluster.")
