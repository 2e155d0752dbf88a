"""For `mlp init`: a quick out-of-fold comparison of low and high frequencies of numeric inputs, for few rows."""

from dataclasses import replace

import numpy as np

from mlpcli.config.recipes.sizes import FrequencyTrial, choose_recipe
from mlpcli.config.recipes.starter import StarterData
from mlpcli.data.table import Rows, Table
from mlpcli.errors import MlpError
from mlpcli.progress import report_progress
from mlpcli.training.member import NonFiniteLoss
from mlpcli.workflows.starter.trial import train_small_networks

# Fewer epochs favour high frequencies, which are learnt sooner.
EPOCHS = 48
TAKES_HIGH = FrequencyTrial(low_rmse=1.0, high_rmse=0.0)


def frequency_trial(table: Table, rows: Rows, data: StarterData) -> FrequencyTrial | None:
    """The out-of-fold errors of small networks of recipe strong with both configs, trained on `rows`.

    None if that would take long, because there are many inputs, or is not possible, such as with a column that has a
    fault.
    """
    table, errors = table.take(np.sort(rows)), list[float]()
    batch_size = choose_recipe("strong", data.summary).batch_size
    try:
        for done, assumed in enumerate((None, TAKES_HIGH)):
            report_progress("stage", "comparing low with high frequencies of numbers", done, 2)
            tried = replace(data, summary=replace(data.summary, frequency_trial=assumed))
            trained = train_small_networks(table, tried, EPOCHS, batch_size)
            if trained is None or (rmse := trained[1].best_score) is None:
                return None
            errors.append(rmse)
    except (MlpError, NonFiniteLoss):
        return None
    return FrequencyTrial(*errors)
