"""The rows of a search, and data that is prepared once for many networks."""

import json
import mmap
from dataclasses import fields, replace

import numpy as np
import pytest

pytest.importorskip("optuna", reason="the extra search is not installed")

from mlpcli.config.loading import config_from_mapping
from mlpcli.search.space import space_of
from mlpcli.search.study import InitialTrial, Study, Trial
from mlpcli.storage.run.run_directory import WEIGHTS
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.reprepare import data_settings, reprepare
from mlpcli.workflows.preparing.rows.tables import read_training_table
from mlpcli.workflows.searching.folder import SearchFolder
from mlpcli.workflows.searching.holdout import split_holdout
from mlpcli.workflows.searching.queue import TrialQueue
from mlpcli.workflows.searching.trial import TrialResult, TrialRunner, TrialSetup
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from tests.program import DATA, write_csv


def loaded(validation, folder, drop=("id",)):
    rng = np.random.default_rng(0)
    rows = [
        [i, f"g{i // 7}", f"2024-01-{1 + i % 28:02}", round(float(rng.normal()), 3), "ab"[i % 2]] for i in range(400)
    ]
    path = write_csv(folder / "t.csv", ["id", "group", "day", "x", "y"], rows)
    data = {"train": str(path), "target": "y", "drop": list(drop), "validation": validation}
    return config_from_mapping({"data": data})


@pytest.mark.parametrize("validation", [0.2, {"group": "group"}, {"time": "day"}, None])
def test_every_row_is_either_searched_or_held_out(folder, validation):
    config = loaded(validation, folder, drop=())
    table = read_training_table(config)
    kept, aside = split_holdout(config, table, 0.25)
    ids = [set(np.asarray(one.columns["id"].values).tolist()) for one in (kept, aside)]
    assert ids[0] | ids[1] == set(range(400))
    assert not ids[0] & ids[1]
    assert 80 <= len(ids[1]) <= 120
    if isinstance(validation, dict) and "group" in validation:
        groups = [{one.columns["group"].levels[code] for code in one.columns["group"].codes} for one in (kept, aside)]
        assert not groups[0] & groups[1]
    if isinstance(validation, dict) and "time" in validation:
        assert aside.where(0) != kept.where(0)
        days = [sorted({one.columns["day"].levels[code] for code in one.columns["day"].codes}) for one in (kept, aside)]
        assert days[0][-1] <= days[1][0]
    # Where a row stands in the file is known of either part.
    assert aside.where(0).startswith(config.config.data.train[0])


def test_the_rows_of_a_table_on_disk_stay_there(folder):
    config = loaded(0.2, folder)
    table = read_training_table(config)
    expected = split_holdout(config, table, 0.25)
    found = split_holdout(config, replace(table, n_buckets=2), 0.25)
    for plain, mapped in zip(expected, found, strict=True):
        assert mapped.n_rows == plain.n_rows
        assert mapped.where(3) == plain.where(3)
        for name, column in plain.columns.items():
            own = mapped.columns[name]
            which = "values" if hasattr(column, "values") else "codes"
            np.testing.assert_array_equal(getattr(own, which), getattr(column, which))
            assert isinstance(getattr(own, which).base.obj, mmap.mmap)


CHANGES = [
    {"model": {"layers": ["auto", 9, 5, "auto"], "activation": "tanh", "dropout": 0.2}},
    {"training": {"optimizer": "adam", "batch_size": 16, "epochs": 3, "schedule": "cosine"}},
    {"model": {"layer_norm": True, "scale_inputs": True, "learn_slopes": True}},
    {"training": {"averaging": "ema", "early_stopping": {"patience": 3}}},
]


@pytest.mark.parametrize("change", CHANGES, ids=json.dumps)
def test_data_prepared_for_another_network_gives_the_same_training(change):
    base = {"data": {"train": str(DATA / "penguins.csv"), "target": "species"}, "training": {"epochs": 2}}
    before, after = config_from_mapping(base), config_from_mapping({**base, **change})
    assert data_settings(before) == data_settings(after)
    again, anew = reprepare(prepare(before), after), prepare(after)
    for field in fields(anew):
        if field.name in ("spec", "networks", "engine", "metric", "n_threads", "loaded"):
            assert getattr(again, field.name) == getattr(anew, field.name), field.name
    flats = []
    for prepared in (again, anew):
        state = initial_state(prepared)
        with blas_threads(1):
            list(epochs(prepared, state, lambda: False))
        flats.append(state.members[0].flat)
    np.testing.assert_array_equal(*flats)


@pytest.mark.parametrize(
    "change",
    [
        {"preprocess": {"numeric": "robust"}},
        {"training": {"loss": "squared_error"}},
        {"training": {"seed": 1}},
        {"model": {"members": 2}},
        {"model": {"layers": [11, 64, 64, "auto"]}},
    ],
    ids=json.dumps,
)
def test_data_that_depends_on_a_key_is_not_reused(change):
    base = {"data": {"train": "a.csv", "target": "y"}}
    assert data_settings(config_from_mapping(base)) != data_settings(config_from_mapping({**base, **change}))


class Silent:
    def trial(self, trial, best):
        pass


def test_the_best_trial_has_a_model_if_it_was_started_again_and_ties_with_a_later_trial(folder):
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "validation": 0.2}
    search = {"space": {"model.dropout": {"uniform": [0.0, 0.5]}}}
    config = config_from_mapping({"data": data, "training": {"epochs": 2}, "search": search})
    prepared = prepare(config)
    runner = TrialRunner(TrialSetup(read_training_table(config), prepared, "accuracy", 1))
    first = [InitialTrial(f"recipe {number}", config) for number in range(3)]

    def opened(place):
        study = Study(place.journal, space_of(config), config, first, higher_is_better=True, seed=0)
        study.begin({"data": "abc"})
        return study, TrialQueue(study, place, "accuracy", Silent(), 3, None, False)

    def run(task):
        return runner.run(task, lambda epoch, score: False, lambda: False)

    with SearchFolder("s") as place:
        place.begin(False)
        study, queue = opened(place)
        zeroth = queue.next()
        queue.done(zeroth, TrialResult(Trial(0, "complete", 0.0, {}, "recipe 0"), {WEIGHTS: b"0"}))
        queue.next()  # trial 1, which is under way when the search is killed
        last = queue.next()
        queue.done(last, run(last))
        assert study.best.number == 2
        study.close()

        study, queue = opened(place)
        again = queue.next()
        assert again.proposal.number == 1
        queue.done(again, run(again))
        assert study.best.number == 1
        assert {name.name for name in (folder / "s/trials").glob("*") if (name / WEIGHTS).exists()} == {"0000", "0001"}
        study.close()
