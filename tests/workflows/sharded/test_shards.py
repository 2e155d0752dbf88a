"""A training on shards equals that on one machine, up to the rounding of sums."""

from dataclasses import replace

import numpy as np
import pytest

from mlpcli.config.loading import load_config
from mlpcli.data import column_sketch
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.shards import Shard
from mlpcli.errors import ConfigError, DataError, MlpError
from mlpcli.storage.model.model_record import Sitting
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.sharded.requirements import must_sketch, refuse_unsharded
from mlpcli.workflows.sharded.round_times import RoundTimes, measure_round_times
from mlpcli.workflows.sharded.rounds import LocalTrainer
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.on_shards import configure_shards
from tests.program import DATA, write_config
from tests.workflows.sharded.in_process import prepared_on_shards, sharded_table, trained, trained_on_shards

TRAINING = {"epochs": 2, "batch_size": 50, "dtype": "float64", "optimizer": "adam"}


@pytest.fixture
def penguins(folder):
    """The table of penguins in five files of different length."""
    head, *rows = (DATA / "penguins.csv").read_text().splitlines()
    for number, (begin, end) in enumerate([(0, 3), (3, 140), (140, 141), (141, 300), (300, 344)]):
        (folder / f"part-{number}.csv").write_text("\n".join([head, *rows[begin:end]]) + "\n")
    return folder


def config_of(folder, training=TRAINING, data=(), **sections):
    data = {"train": "part-*.csv", "target": "species", **dict(data)}
    return load_config(str(write_config(folder / "config.yaml", data, training, **sections)))


def assert_same(actual_training, expected_training, tolerance=1e-9):
    """The preprocessing is bit-identical; weights, losses and scores are equal up to rounding."""
    (actual, reports), (expected, expected_reports) = actual_training, expected_training
    for name, values in expected.model.preprocessor.state.items():
        assert values.tobytes() == actual.model.preprocessor.state[name].tobytes(), name
    for left, right in zip(actual.model.ensemble.flats, expected.model.ensemble.flats, strict=True):
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)
    assert actual.model.reference == expected.model.reference
    assert actual.model.trained_rows == expected.model.trained_rows
    assert actual.model.target == expected.model.target
    for split, scores in expected.scores.items():
        assert actual.scores[split] == pytest.approx(scores, rel=1e-6, abs=1e-6, nan_ok=True), split
    assert len(reports) == len(expected_reports)
    for report, expected_report in zip(reports, expected_reports, strict=True):
        for name in ("train_loss", "validation_loss", "score"):
            value, expected_value = getattr(report, name), getattr(expected_report, name)
            assert value is expected_value is None or value == pytest.approx(expected_value, rel=1e-8), name


RECIPES = {
    "plain": {},
    "schedule and early stopping": {
        "training": {**TRAINING, "schedule": {"name": "cosine", "warmup": 0.5}, "early_stopping": {"patience": 3}},
    },
    "dropout, averaging, clipping": {
        "training": {**TRAINING, "averaging": "ema", "gradient_clip": 0.1, "early_stopping": {"patience": 3}},
        "model": {"layers": ["auto", 9, 7, "auto"], "dropout": 0.3},
    },
    "class weights and a weight": {
        "training": {**TRAINING, "class_weights": "balanced"},
        "data": {"weight": "year"},
    },
    "quantiles, indicators and bins": {
        "preprocess": {"numeric": "quantile", "missing": {"name": "median", "flag": True}},
        "training": TRAINING,
    },
    "an ensemble on bootstrap rows": {"model": {"members": {"count": 2, "rows": "bootstrap"}}},
    "regression by groups": {"data": {"target": "body_mass_g", "validation": {"group": "island", "fraction": 0.3}}},
    "no validation rows": {"data": {"validation": 0}},
    "normalized layers that fall back": {
        "model": {"layers": ["auto", 8, 8, "auto"], "layer_norm": True, "residual": True}
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_any_recipe_is_trained_on_shards_as_on_one_machine(penguins, name):
    loaded = config_of(penguins, **RECIPES[name])
    assert_same(trained_on_shards(loaded, 3), trained(prepare(loaded)))


@pytest.mark.parametrize("n_shards", [1, 2, 7])
def test_any_number_of_shards_gives_the_same_training(penguins, n_shards):
    """With seven shards of five files, each shard reads a range of every file."""
    loaded = config_of(penguins)
    assert_same(trained_on_shards(loaded, n_shards), trained(prepare(loaded)))


def test_one_shard_gives_bit_identical_weights(penguins):
    loaded = config_of(penguins, training={**TRAINING, "engine": "numpy"}, model={"dropout": 0.2})
    sharded, local = trained_on_shards(loaded, 1)[0], trained(prepare(loaded))[0]
    assert sharded.model.ensemble.flats[0].tobytes() == local.model.ensemble.flats[0].tobytes()


@pytest.mark.parametrize("local_steps", [3, 16])
def test_one_shard_gives_bit_identical_weights_with_any_number_of_local_steps(penguins, local_steps):
    training = {**TRAINING, "engine": "numpy", "averaging": "ema", "early_stopping": {"patience": 3}}
    loaded = config_of(penguins, training=training, model={"dropout": 0.2})
    sharded, local = trained_on_shards(loaded, 1, local_steps)[0], trained(prepare(loaded))[0]
    assert sharded.model.ensemble.flats[0].tobytes() == local.model.ensemble.flats[0].tobytes()
    assert sharded.scores == local.scores


def test_the_average_after_one_local_step_is_a_synchronous_round(penguins, monkeypatch):
    """If the optimizer is linear in the gradient, as with momentum."""
    sgd = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    loaded = config_of(penguins, training={**TRAINING, "optimizer": sgd}, model={"dropout": 0.2})
    expected = trained(prepare(loaded))
    monkeypatch.setattr(
        "mlpcli.workflows.sharded.inputs.RoundTrainer", lambda *arguments: LocalTrainer(*arguments, local_steps=1)
    )
    assert_same(trained_on_shards(loaded, 3), expected)


def test_local_steps_learn(penguins):
    loaded = config_of(penguins, training={**TRAINING, "epochs": 15})
    scores = trained_on_shards(loaded, 3, local_steps=4)[0].scores
    assert scores["validation"]["log_loss"] < 0.3 * scores["constant"]["log_loss"]


def test_local_steps_follow_from_measured_times_and_are_kept_when_a_training_is_resumed(penguins, monkeypatch):
    loaded = config_of(penguins)
    prepared = prepare(loaded, sharded_table(loaded, 2)[0])
    state = initial_state(prepared)
    before, function = state.members[0].flat.copy(), "mlpcli.workflows.training.on_shards.measure_round_times"
    measured = measure_round_times(
        prepared.train.samples.X, prepared.members[0], prepared.train.samples, prepared.spec, state.members[0]
    )
    assert min(measured.local_gradient, measured.batch_gradient, measured.synchronous_round, measured.exchange) > 0
    assert (state.members[0].flat == before).all()
    monkeypatch.setattr(function, lambda *arguments: RoundTimes(2.0, 3.0, 9.0, 8.0))
    configured, notes = configure_shards(prepared, state, None)
    assert configured.engine.name == "cluster, local steps: 4"
    assert "4 local steps are taken between two rounds. --local-steps 1 trains as one machine does" in notes[0]
    assert "training without --cluster is faster" in notes[1]
    assert configure_shards(prepared, state, 1)[0].engine.name == "cluster"
    earlier = [Sitting(3, configured.engine.name, 1, {})]
    monkeypatch.setattr(function, lambda *arguments: RoundTimes(2.0, 4.0, 3.0, 9.0))
    assert configure_shards(prepared, state, None)[0].engine.name == "cluster"
    assert configure_shards(prepared, state, None, earlier) == (configured, [])


@pytest.mark.parametrize(
    ("local_gradient", "synchronous_round", "exchange", "local_steps"),
    [(1.0, 1.9, 5.0, 1), (1.0, 4.5, 3.6, 4), (0.001, 9.0, 9.0, 16), (1.0, 0.5, 0.1, 1), (1.0, 2.5, 400.0, 1)],
)
def test_rounds_that_take_longer_than_their_steps_are_made_rare(
    local_gradient, synchronous_round, exchange, local_steps
):
    assert RoundTimes(local_gradient, 2.0, synchronous_round, exchange).local_steps == local_steps


@pytest.mark.parametrize("n_shards", [2, 8])
def test_a_table_gathered_from_shards_equals_the_table_read_at_once(penguins, n_shards):
    """Also if a column has numbers in one file and text in another, and if its levels are in another order."""
    text = (penguins / "part-3.csv").read_text()
    (penguins / "part-3.csv").write_text(text.replace("2007", "MMVII", 1))
    table, (gathered, _) = read_table("part-*.csv"), sharded_table(config_of(penguins), n_shards)
    assert (gathered.n_rows, gathered.names, gathered.sha256) == (table.n_rows, table.names, table.sha256)
    assert (gathered.format, gathered.notes, gathered.name) == (table.format, table.notes, table.name)
    for name, column in table.columns.items():
        gathered_column = gathered.columns[name]
        assert type(gathered_column) is type(column)
        arrays = [getattr(each, "codes", getattr(each, "values", None)) for each in (column, gathered_column)]
        np.testing.assert_array_equal(*arrays)
        assert getattr(gathered_column, "levels", ()) == getattr(column, "levels", ())
    assert [gathered.where(row) for row in (0, 3, 141, 343)] == [table.where(row) for row in (0, 3, 141, 343)]


def test_weights_are_bit_identical_after_shards_are_lost(penguins):
    loaded = config_of(penguins, model={"dropout": 0.2})
    outcome = trained_on_shards(loaded, 3)[0]
    table, pool = sharded_table(loaded, 3)
    prepared = prepared_on_shards(loaded, table)
    call, n_calls = pool.call, 0

    def call_and_lose(*arguments, **options):
        nonlocal n_calls
        n_calls += 1
        if n_calls % 5 == 0:
            pool.lose(n_calls // 5 % 3)
        return call(*arguments, **options)

    pool.call = call_and_lose
    again = trained(prepared)[0]
    assert n_calls > 20
    assert again.model.ensemble.flats[0].tobytes() == outcome.model.ensemble.flats[0].tobytes()
    assert again.scores == outcome.scores


def test_a_shard_that_reads_other_rows_than_before_is_refused(penguins):
    pool = sharded_table(config_of(penguins), 1)[1]
    (penguins / "part-3.csv").write_text((penguins / "part-3.csv").read_text().replace("Biscoe", "Dream"))
    with pytest.raises(DataError, match="was changed while it was trained on"):
        pool.lose(0)


@pytest.mark.parametrize("n_shards", [1, 8])
def test_files_that_change_before_a_column_is_read_again_as_text_are_refused(penguins, monkeypatch, n_shards):
    path = penguins / "part-3.csv"
    path.write_text(path.read_text().replace("2007", "MMVII", 1))
    read_again = Shard.read_again

    def change_and_read(self, names):
        path.write_text(path.read_text().replace("Biscoe", "Dream", 1))
        read_again(self, names)

    monkeypatch.setattr(Shard, "read_again", change_and_read)
    with pytest.raises(DataError, match="was changed while it was read"):
        sharded_table(config_of(penguins), n_shards)


def test_shards_that_read_different_versions_of_a_file_are_refused(penguins, monkeypatch):
    path, read = penguins / "part-3.csv", Shard.read

    def read_and_change(self):
        summary = read(self)
        path.write_text(path.read_text().replace("Biscoe", "Dream", 1))
        return summary

    monkeypatch.setattr(Shard, "read", read_and_change)
    with pytest.raises(DataError, match=r"part-3.csv: was changed while it was read"):
        sharded_table(config_of(penguins), 8)


def test_an_invalid_cell_is_reported_as_on_one_machine(penguins):
    (penguins / "part-4.csv").write_text((penguins / "part-4.csv").read_text().replace(",2009", ",20x9", 1))
    loaded = config_of(penguins, data={"columns": {"year": "number"}})
    with pytest.raises(DataError) as local:
        prepare(loaded)
    with pytest.raises(DataError) as sharded:
        prepare(loaded, sharded_table(loaded, 3)[0])
    assert str(sharded.value) == str(local.value)
    assert "part-4.csv:" in str(local.value)


def sketched_table(loaded, n_shards):
    table = sharded_table(loaded, n_shards)[0]
    table.columns.shards.is_sketched = True
    return table


@pytest.mark.parametrize("n_shards", [1, 3, 7])
@pytest.mark.parametrize("numeric", ["standardize", "robust", "quantile", "minmax"])
def test_preprocessing_of_columns_with_few_values_is_fitted_on_sketches_as_on_one_machine(penguins, numeric, n_shards):
    preprocess = {"numeric": numeric, "encoding": "piecewise_linear", "missing": "median"}
    loaded = config_of(penguins, preprocess=preprocess)
    local, sketched = prepare(loaded), prepare(loaded, sketched_table(loaded, n_shards))
    tolerance = {"rtol": 1e-14 if numeric == "standardize" else 0}  # sums are in another order
    for name, values in local.preprocessor.state.items():
        np.testing.assert_allclose(sketched.preprocessor.state[name], values, **tolerance, err_msg=name)
    assert sketched.preprocessor.columns == local.preprocessor.columns
    assert sketched.preprocessor.feature_names == local.preprocessor.feature_names
    assert (sketched.reference, sketched.trained_rows) == (local.reference, local.trained_rows)
    assert (sketched.notes, sketched.rank_error) == (local.notes, 0.0)


def test_rank_errors_of_columns_with_many_values_are_within_the_reported_bound(folder, monkeypatch):
    """Means, deviations, extremes, levels, counts and hashes are those of one machine."""
    rng, points = np.random.default_rng(0), 50
    for number, n_rows in enumerate([900, 1, 2100]):
        lines = [f"{x},{y:.6f},{'ab'[int(y > 0)]}" for x, y in zip(range(n_rows), rng.normal(size=n_rows), strict=True)]
        lines[0] = ",,a"  # missing together
        (folder / f"part-{number}.csv").write_text("\n".join(["x,y,kind", *lines]) + "\n")
    data, preprocess = {"target": "kind", "validation": 0}, {"encoding": "piecewise_linear", "missing": "median"}
    loaded = config_of(folder, data=data, preprocess=preprocess)
    exact = prepare(loaded)
    monkeypatch.setattr(column_sketch, "MAX_POINTS", points)
    sketched = prepare(loaded, sketched_table(loaded, 3))
    assert 0 < sketched.rank_error <= 0.5 / points + 1e-3
    note = f"miss their rank by {sketched.rank_error:.2g} of the rows at most"
    assert sum(note in text for text in sketched.notes) == 1
    state, expected = sketched.preprocessor.state, exact.preprocessor.state
    np.testing.assert_allclose(state["center"], expected["center"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(state["scale"], expected["scale"], rtol=1e-12)
    for column, other in zip(sketched.preprocessor.columns, exact.preprocessor.columns, strict=True):
        assert column == replace(other, n_distinct=column.n_distinct)  # which few points underestimate
    assert sketched.trained_rows == exact.trained_rows
    whole = read_table("part-*.csv")
    for index, name in enumerate(("x", "y")):
        ordered = np.sort(whole.columns[name].values[~np.isnan(whole.columns[name].values)])
        edges = state["edges"].reshape(2, -1)[index]
        assert (edges[0], edges[-1]) == (ordered[0], ordered[-1])
        below, upto = (np.searchsorted(ordered, state["fill"][index], side) for side in ("left", "right"))
        error = sketched.rank_error * len(ordered)
        assert below - error <= len(ordered) / 2 <= upto + error
    outcome, _ = trained(configure_shards(sketched, initial_state(sketched), 1)[0])
    assert outcome.model.record["rank_error"] == sketched.rank_error


def test_numbers_are_sketched_if_a_numeric_column_does_not_fit_into_local_memory_but_text_does(penguins):
    loaded = config_of(penguins, budget={"memory": "182MB"})  # 150 MB of it for the program
    assert [must_sketch(loaded, n_rows) for n_rows in (400_000, 450_000)] == [False, True]
    with pytest.raises(ConfigError, match=r"budget.memory: a column of texts of 1000000 rows, .* takes 68 MB here"):
        must_sketch(loaded, 1_000_000)
    for sections in (
        {"data": {"weight": "year"}},
        {"preprocess": {"encoding": {"name": "piecewise_linear", "edges": "target"}}},
    ):
        loaded = config_of(penguins, budget={"memory": "182MB"}, **sections)
        assert not must_sketch(loaded, 400_000)
        with pytest.raises(ConfigError, match=r"needs whole columns of numbers here: .* takes 34 MB; there are 32 MB"):
            must_sketch(loaded, 450_000)


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        (
            {"data": {"validation": None}, "model": {"members": {"count": 4, "rows": "folds"}}},
            "folds are not trained on a cluster",
        ),
        ({"model": {"members": {"count": 4, "select": "greedy"}}}, "a cluster trains all members"),
        ({"training": {"engine": "compiled"}}, "a cluster trains with NumPy"),
        ({"data": {"train": "-"}}, "cannot read standard input"),
    ],
)
def test_what_cannot_be_trained_on_shards_is_refused_by_name(penguins, sections, fault):
    with pytest.raises(MlpError, match=fault) as caught:
        refuse_unsharded(config_of(penguins, **sections))
    assert isinstance(caught.value, ConfigError) or sections["data"]["train"] == "-"
