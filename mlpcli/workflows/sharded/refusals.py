"""What cannot be trained on shards, refused by name before anything is read."""

from mlpcli.config.loading import LoadedConfig
from mlpcli.errors import MlpError
from mlpcli.workflows.preparing.resolution import uses_folds


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
