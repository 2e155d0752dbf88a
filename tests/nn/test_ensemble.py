"""Ensembles: the answers of all members, and of those that leave out a fold."""

import numpy as np
import pytest

from mlpcli.nn.ensemble import Ensemble
from mlpcli.storage.model.model_file import load_model
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


def test_a_member_that_counts_twice_is_as_two_of_it(ensemble):
    X = np.random.default_rng(1).normal(size=(40, ensemble.first.n_in)).astype(np.float32)
    counted = Ensemble(ensemble.networks[:3], ensemble.flats[:3], (2, 1, 3))
    places = (0, 0, 1, 2, 2, 2)
    repeated = Ensemble(tuple(ensemble.networks[p] for p in places), tuple(ensemble.flats[p] for p in places))
    np.testing.assert_allclose(counted.outputs(X), repeated.outputs(X), rtol=1e-6)
    np.testing.assert_array_equal(counted.outputs(X), counted.fold_outputs(X, 3)[0])
    once = Ensemble(ensemble.networks, ensemble.flats, (1,) * 6)
    np.testing.assert_array_equal(once.outputs(X), ensemble.outputs(X))
    np.testing.assert_array_equal(once.fold_outputs(X, 2)[1], ensemble.fold_outputs(X, 2)[1])
