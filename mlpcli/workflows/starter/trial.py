"""For `mlp init`: small networks of recipe strong, trained on folds to compare two configs."""

from mlpcli.config.loading import config_from_text, with_values
from mlpcli.config.recipes.sizes import Recipe
from mlpcli.config.recipes.starter import StarterData, starter_yaml
from mlpcli.data.table import Table
from mlpcli.training.fit import TrainingState
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state

MOST_INPUTS = 500
FOLDS, WIDTH = 4, 64
# NumPy, because the first compilation takes longer than the trial.
ENGINE = "training.engine=numpy"


def train_small_networks(
    table: Table, data: StarterData, n_epochs: int, batch_size: int, overrides: tuple[str, ...] = ()
) -> tuple[Prepared, TrainingState] | None:
    """Train one network per fold by the config for `data` with `overrides`; None if it has more than MOST_INPUTS.

    Raises MlpError if the table has a fault, and NonFiniteLoss.
    """
    text = starter_yaml(data, Recipe("strong", (WIDTH,) * 3, n_epochs, batch_size, FOLDS, FOLDS))
    prepared = prepare(with_values(config_from_text(text, "mlp init"), (ENGINE, *overrides)), table)
    if prepared.network.n_in > MOST_INPUTS:
        return None
    state = initial_state(prepared)
    with blas_threads(1):
        for _ in epochs(prepared, state, lambda: False):
            pass
    return prepared, state
