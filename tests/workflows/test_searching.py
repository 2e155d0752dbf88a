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
    searched, held_out = split_holdout(config, table, 0.25)
    ids = [set(np.asarray(part.columns["id"].values).tolist()) for part in (searched, held_out)]
    assert ids[0] | ids[1] == set(range(400))
    assert not ids[0] & ids[1]
    assert 80 <= len(ids[1]) <= 120
    if isinstance(validation, dict) and "group" in validation:
        groups = [
            {part.columns["group"].levels[code] for code in part.columns["group"].codes}
            for part in (searched, held_out)
        ]
        assert not groups[0] & groups[1]
    if isinstance(validation, dict) and "time" in validation:
        assert held_out.where(0) != searched.where(0)
        days = [
            sorted({part.columns["day"].levels[code] for code in part.columns["day"].codes})
            for part in (searched, held_out)
        ]
        assert days[0][-1] <= days[1][0]
    # Both tables know the locations of their rows in the file.
    assert held_out.where(0).startswith(config.config.data.train[0])


def test_the_rows_of_a_table_on_disk_stay_there(folder):
    config = loaded(0.2, folder)
    table = read_training_table(config)
    expected = split_holdout(config, table, 0.25)
    on_disk = split_holdout(config, replace(table, n_buckets=2), 0.25)
    for plain, mapped in zip(expected, on_disk, strict=True):
        assert mapped.n_rows == plain.n_rows
        assert mapped.where(3) == plain.where(3)
        for name, column in plain.columns.items():
            mapped_column = mapped.columns[name]
            attribute = "values" if hasattr(column, "values") else "codes"
            np.testing.assert_array_equal(getattr(mapped_column, attribute), getattr(column, attribute))
            assert isinstance(getattr(mapped_column, attribute).base.obj, mmap.mmap)


CHANGES = [
    {"model": {"layers": ["auto", 9, 5, "auto"], "activation": "tanh", "dropout": 0.2}},
    {"training": {"optimizer": "adam", "batch_size": 16, "epochs": 3, "schedule": "cosine"}},
    {"model": {"layer_norm": True, "scale_inputs": True, "learn_slopes": True}},
    {"training": {"averaging": "ema", "early_stopping": {"patience": 3}}},
]


@pytest.mark.parametrize("change", CHANGES, ids=json.dumps)
def test_data_prepared_for_another_network_gives_the_same_training(change):
    base = {"data": {"train": str(DATA / "penguins.csv"), "target": "species"}, "training": {"epochs": 2}}
    first_config, second_config = config_from_mapping(base), config_from_mapping({**base, **change})
    assert data_settings(first_config) == data_settings(second_config)
    reprepared, fresh = reprepare(prepare(first_config), second_config), prepare(second_config)
    for field in fields(fresh):
        if field.name in ("spec", "networks", "engine", "metric", "n_threads", "loaded"):
            assert getattr(reprepared, field.name) == getattr(fresh, field.name), field.name
    flats = []
    for either in (reprepared, fresh):
        state = initial_state(either)
        with blas_threads(1):
            list(epochs(either, state, lambda: False))
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


class SilentObserver:
    def trial(self, trial, best):
        pass


def test_the_best_trial_has_a_model_if_it_was_started_again_and_ties_with_a_later_trial(folder):
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "validation": 0.2}
    search = {"space": {"model.dropout": {"uniform": [0.0, 0.5]}}}
    config = config_from_mapping({"data": data, "training": {"epochs": 2}, "search": search})
    prepared = prepare(config)
    runner = TrialRunner(TrialSetup(read_training_table(config), prepared, "accuracy", 1))
    first = [InitialTrial(f"recipe {number}", config) for number in range(3)]

    def open_study(search_folder):
        study = Study(search_folder.journal, space_of(config), config, first, higher_is_better=True, seed=0)
        study.begin({"data": "abc"})
        return study, TrialQueue(study, search_folder, "accuracy", SilentObserver(), 3, None, False)

    def run(task):
        return runner.run(task, lambda epoch, score: False, lambda: False)

    with SearchFolder("s") as search_folder:
        search_folder.begin(False)
        study, queue = open_study(search_folder)
        first_task = queue.next()
        queue.done(first_task, TrialResult(Trial(0, "complete", 0.0, {}, "recipe 0"), {WEIGHTS: b"0"}))
        queue.next()  # trial 1, which is unfinished when the search is killed
        last = queue.next()
        queue.done(last, run(last))
        assert study.best.number == 2
        study.close()

        study, queue = open_study(search_folder)
        restarted = queue.next()
        assert restarted.proposal.number == 1
        queue.done(restarted, run(restarted))
        assert study.best.number == 1
        assert {name.name for name in (folder / "s/trials").glob("*") if (name / WEIGHTS).exists()} == {"0000", "0001"}
        study.close()
