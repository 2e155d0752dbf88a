import pandas as pd

from benchmarks.quality.experiments import EXPERIMENTS
from benchmarks.quality.splits import find_splits
from benchmarks.quality.tables import SOURCES, write

# What docs/quality.md reports on.
REPORTED = {"abalone", "adult", "california", "churn", "diamonds", "letter", "telco", "wine-white"}


def test_at_least_forty_tables_choose_the_recipes_and_none_of_them_is_reported_on():
    assert len(SOURCES) >= 40
    assert not REPORTED & set(SOURCES)


def test_experiments_have_tables_that_are_not_reported_on_and_sets_that_differ():
    for name, experiment in EXPERIMENTS.items():
        assert set(experiment.datasets) <= set(SOURCES), name
        contestants = experiment.contestants(name)
        assert len({one.name for one in contestants}) == len({one.overrides for one in contestants}) > 1


def test_a_table_is_split_into_rows_that_are_not_shared_and_the_same_each_time(tmp_path):
    for folder in (tmp_path / "once", tmp_path / "again"):
        for name in ("places", "rotated"):
            write(name, SOURCES[name], folder)
    splits, _ = find_splits(tmp_path / "once")
    assert {(split.name, split.target, split.task) for split in splits} == {
        ("places", "price", "regression"),
        ("rotated", "kind", "classification"),
    }
    for split in splits:
        for part in (split.train, split.test):
            assert part.read_bytes() == (tmp_path / "again" / split.name / part.name).read_bytes()
        parts = pd.concat([pd.read_csv(split.train), pd.read_csv(split.test)])
        assert not parts.duplicated().any()
