"""For `mlp init`: a quick out-of-fold comparison of the usual frequencies of numeric inputs with others."""

from dataclasses import replace
from importlib.util import find_spec

from mlpcli.config.recipes.sizes import Frequencies, FrequencyTrial, choose_recipe
from mlpcli.config.recipes.starter import StarterData
from mlpcli.data.table import Rows, Table
from mlpcli.errors import MlpError
from mlpcli.progress import report_progress
from mlpcli.training.member import NonFiniteLoss
from mlpcli.workflows.starter.trial import FOLDS, sample_rows, train_small_networks

# Fewer epochs favour high frequencies, which are learnt sooner.
EPOCHS = 48
# The mean of two members overfits later than one, which matters where the other choice is not to have frequencies.
MEMBERS: dict[Frequencies, int] = {"high": FOLDS, "none": 2 * FOLDS}


def frequency_trial(table: Table, rows: Rows, data: StarterData, other: Frequencies) -> FrequencyTrial | None:
    """The out-of-fold errors of small networks of recipe strong with both frequencies, trained on a sample of `rows`.

    None if that would take long, because there are many inputs, or is not possible, such as with a column that has a
    fault.
    """
    table, usual, errors = sample_rows(table, rows), data.summary.frequencies, list[float]()
    batch_size = choose_recipe("strong", data.summary).batch_size
    # For fewer rows the first compilation takes longer than the trial, and maybe the training.
    engine = "compiled" if other == "none" and find_spec("numba") else "numpy"
    try:
        for done, tried in enumerate((usual, other)):
            report_progress("stage", "comparing frequencies of numbers", done, 2)
            summary = replace(data.summary, tried_frequencies=tried)
            trained = train_small_networks(
                table, replace(data, summary=summary), EPOCHS, batch_size, n_members=MEMBERS[other], engine=engine
            )
            if trained is None or (rmse := trained[1].best_score) is None:
                return None
            errors.append(rmse)
    except (MlpError, NonFiniteLoss):
        return None
    return FrequencyTrial(usual, other, *errors)
