"""For `mlp init`: small networks of recipe strong, trained on folds to compare two configs."""

import numpy as np

from mlpcli.config.loading import config_from_text, with_values
from mlpcli.config.recipes.sizes import Recipe
from mlpcli.config.recipes.starter import StarterData, starter_yaml
from mlpcli.data.table import Rows, Table
from mlpcli.errors import MlpError
from mlpcli.training.fit import TrainingState
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.training.engines import load_engine, noting_compilation
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state

MOST_ROWS, MOST_INPUTS = 4000, 600
SEED = 1964_0408  # of the sample
FOLDS, WIDTH = 4, 64
# With residual connections the small networks prefer other frequencies than those of the recipe do (docs/quality.md).
NO_RESIDUAL = "model.residual=false"


def sample_rows(table: Table, rows: Rows) -> Table:
    """At most MOST_ROWS of `rows`, in source order."""
    return table.take(np.sort(np.random.default_rng(SEED).permutation(rows)[:MOST_ROWS]))


def train_small_networks(
    table: Table,
    data: StarterData,
    n_epochs: int,
    batch_size: int,
    overrides: tuple[str, ...] = (),
    n_members: int = FOLDS,
    engine: str = "numpy",
) -> tuple[Prepared, TrainingState] | None:
    """Train `n_members` networks on FOLDS folds by the config for `data` with `overrides`.

    None if they have more than MOST_INPUTS. Raises MlpError if the table has a fault, and NonFiniteLoss.
    """
    text = starter_yaml(data, Recipe("strong", (WIDTH,) * 3, n_epochs, batch_size, n_members, FOLDS))
    settings = (f"training.engine={engine}", NO_RESIDUAL, *overrides)
    loaded = with_values(config_from_text(text, "mlp init"), settings)
    prepared = prepare(loaded, table)
    if prepared.network.n_in > MOST_INPUTS:
        return None
    state = initial_state(prepared)
    try:
        with noting_compilation(prepared.engine, lambda _note: None):
            load_engine(prepared.engine, loaded.config.training.dtype)
    except MlpError:  # Numba is damaged, as the training will say
        return train_small_networks(table, data, n_epochs, batch_size, overrides, n_members)
    with blas_threads(1):
        for _ in epochs(prepared, state, lambda: False):
            pass
    return prepared, state
