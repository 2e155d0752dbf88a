"""For `mlp init`: a quick out-of-fold comparison of a numeric target as it is with its logarithm."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.recipes.sizes import MANY_ROWS, TargetTrial
from mlpcli.config.recipes.starter import StarterData
from mlpcli.data.table import Rows, Table
from mlpcli.data.targets.target import NumberTarget, decode_outputs
from mlpcli.errors import MlpError
from mlpcli.nn.ensemble import Ensemble
from mlpcli.progress import report_progress
from mlpcli.training.fit import TrainingState
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.starter.trial import FOLDS, sample_rows, train_small_networks
from mlpcli.workflows.training.member_selection import average_rounds, out_of_fold_outputs
from mlpcli.workflows.training.postprocessing import fit_bias_correction

Values = NDArray[np.float64]

LOG = ("preprocess.target=log", "postprocess.bias_correction=true")
# On the tables of docs/quality.md it is below 0.2, or above 0.5.
LEAST_LIKELIHOOD_GAIN = 0.35
LEAST_Z_SCORE = 2.5


def target_trial(table: Table, rows: Rows, data: StarterData) -> TargetTrial | None:
    """The out-of-fold errors of small networks of recipe strong, with and without `preprocess.target: log`.

    They are trained on a sample of `rows`. None if that would take long, because there are many inputs, or is
    not possible, such as with a column that has a fault.
    """
    table = sample_rows(table, rows)
    n_epochs, batch_size = (16, 128) if table.n_rows >= MANY_ROWS else (32, 64)
    predictions = []
    try:
        for done, overrides in enumerate(((), LOG)):
            report_progress("stage", "comparing the target with its logarithm", done, 2)
            trained = train_small_networks(table, data, n_epochs, batch_size, overrides)
            if trained is None:
                return None
            prepared, state = trained
            predictions.append(_out_of_fold_predictions(prepared, state))
    except (MlpError, NonFiniteLoss):
        return None
    truth, (plain, log) = prepared.train.truth[:, 0], predictions
    mae, log_mae = (float(np.mean(np.abs(each - truth))) for each in predictions)
    rmse, log_rmse = (sqrt(float(np.mean((each - truth) ** 2))) for each in predictions)
    return TargetTrial(mae, log_mae, rmse, log_rmse, is_log_better(truth, plain, log))


def is_log_better(truth: Values, plain: Values, log: Values) -> bool:
    """Whether out-of-fold predictions by the logarithm of the target are clearly better; all are (n_rows,), 0 or more.

    Squared errors of skewed targets have tails so heavy that a few rows decide over their mean. So three conditions are
    tested: normal errors of log(1 + y) are more likely than normal errors of y (Box and Cox 1964, "An Analysis of
    Transformations"), by LEAST_LIKELIHOOD_GAIN per row; the absolute errors are smaller, by LEAST_Z_SCORE standard
    errors of their paired differences; and the squared errors are not larger by more than one.
    """
    ratios = np.log1p(truth) - np.log1p(log)
    with np.errstate(divide="ignore", invalid="ignore"):  # perfect predictions, or a sample of zeros
        gain = np.log((plain - truth).std()) - np.log(ratios.std()) - np.log1p(truth).mean()
        errors, log_errors = (np.abs(each - truth) / truth.max() for each in (plain, log))  # no power of them overflows
    return bool(
        gain >= LEAST_LIKELIHOOD_GAIN
        and _z_score(log_errors - errors) <= -LEAST_Z_SCORE
        and _z_score(log_errors**2 - errors**2) <= 1.0
    )


def _out_of_fold_predictions(prepared: Prepared, trained: TrainingState) -> Values:
    """Predict each training row (n_rows,) by the member that holds it out."""
    target, state, validation, folds = prepared.target, prepared.target_state, prepared.validation, prepared.folds
    assert isinstance(target, NumberTarget)
    assert validation is not None
    assert folds is not None
    ensemble = Ensemble(prepared.networks, tuple(trained.best))
    with blas_threads(1):
        rounds = out_of_fold_outputs(prepared, validation, folds, ensemble)
    outputs = average_rounds(rounds, ensemble, FOLDS).astype(np.float64)
    if prepared.loaded.config.postprocess.bias_correction:
        outputs = outputs + fit_bias_correction(target, state, outputs, validation.truth)
    return decode_outputs(target, state, outputs)[:, 0]


def _z_score(differences: Values) -> float:
    deviation = float(differences.std())
    return float(differences.mean()) * sqrt(len(differences)) / deviation if deviation > 0.0 else 0.0
