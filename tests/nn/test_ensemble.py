"""Ensembles: the answers of all members, and of those that leave out a fold."""

import numpy as np
import pytest

from mlpcli.nn.ensemble import Ensemble
from mlpcli.storage.model_file import load_model
from tests.program import DATA, train


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory) -> Ensemble:
    """Six members."""
    data = {"train": str(DATA / "iris.csv"), "target": "species", "validation": None}
    members = {"members": {"count": 6, "rows": "folds", "folds": 3}}
    return load_model(str(train(tmp_path_factory.mktemp("members"), data, model=members))).ensemble


def test_the_outputs_of_folds_are_those_of_the_members_that_leave_them_out(ensemble):
    X = np.random.default_rng(0).normal(size=(150, ensemble.first.n_in)).astype(np.float32)
    mean, of_folds = ensemble.fold_outputs(X, 3)
    np.testing.assert_array_equal(mean, ensemble.outputs(X))
    for fold in range(3):
        pair = Ensemble(
            (ensemble.networks[fold], ensemble.networks[fold + 3]), (ensemble.flats[fold], ensemble.flats[fold + 3])
        )
        np.testing.assert_array_equal(of_folds[fold], pair.outputs(X))
    np.testing.assert_allclose(of_folds.mean(axis=0), mean, atol=1e-6)
