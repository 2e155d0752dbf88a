"""The whole way with sample weights: a row of weight k is k copies of it, a row of weight 0 is not there."""

import numpy as np
import pandas as pd
import pytest

from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from tests.program import mlp
from tests.workflows.staging import Watch, loaded

COLUMNS = {"letter": {"role": "category"}, "grade": {"role": "number"}}
FULL_BATCH = {"batch_size": 100_000, "dtype": "float64", "epochs": 4}


def weighted(n_rows=160, seed=0):
    """Rows of every kind with weights from 0 to 4, on which inputs and target depend."""
    rng = np.random.default_rng(seed)
    w = rng.integers(0, 5, n_rows)
    x = rng.normal(size=n_rows).round(3) + w
    y = (x - 0.5 * w + rng.normal(size=n_rows)).round(3)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(n_rows) < 0.1, np.nan, x),
            "skewed": np.exp(rng.normal(size=n_rows) - 0.3 * w).round(2),
            "grade": rng.integers(1, 5, n_rows),
            "letter": rng.choice(list("aaaabbbcccdefghijk"), n_rows),
            "paid": rng.choice(["yes", "no"], n_rows),
            "day": (np.datetime64("2024-01-01") + rng.integers(0, 300, n_rows) + 20 * w).astype(str),
            "w": w,
            "y": y,
            "kind": np.where(y + rng.normal(size=n_rows) > 1.5, "high", np.where(y > 0, "middle", "low")),
        }
    )


def repeated(frame, seed=1):
    """Each row as often as its weight says, in random order."""
    return frame.loc[np.repeat(frame.index, frame["w"])].drop(columns="w").sample(frac=1.0, random_state=seed)


def config_of(target, preprocess=None, training=None, weight="w", **data):
    drop = [name for name in ("y", "kind") if name != target]
    given = {"train": "rows", "target": target, "drop": drop, "columns": COLUMNS, "validation": None} | data
    given |= {"weight": "w"} if weight else {}
    return loaded(given, FULL_BATCH | (training or {}), preprocess=preprocess or {},
                  model={"layers": ["auto", 5, "auto"], "activation": "tanh"})  # fmt: skip


def prepared_pair(frame, target, preprocess=None, training=None):
    """The same config on the rows with weights, and on their copies."""
    return (
        prepare(config_of(target, preprocess, training), table_from_frame(frame)),
        prepare(config_of(target, preprocess, training, ""), table_from_frame(repeated(frame).reset_index(drop=True))),
    )


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("numeric", ["standardize", "robust", "minmax", {"name": "quantile", "points": 30}])
@pytest.mark.parametrize("missing", ["median", "mean"])
@pytest.mark.parametrize("edges", [None, "quantile", "target"])
@pytest.mark.parametrize("target", ["y", "kind"])
def test_the_preprocessing_of_weighted_rows_is_that_of_their_copies(numeric, missing, edges, target):
    preprocess = {"numeric": numeric, "missing": missing, "categorical": {"name": "onehot", "min_count": 12}}
    preprocess |= {"encoding": {"name": "piecewise_linear", "bins": 6, "edges": edges}} if edges else {}
    by_weight, by_copies = prepared_pair(weighted(), target, preprocess)
    assert by_weight.preprocessor.feature_names == by_copies.preprocessor.feature_names
    assert_same_state(by_weight.preprocessor.state, by_copies.preprocessor.state)
    assert_same_state(by_weight.target_state, by_copies.target_state)


@pytest.mark.parametrize("transform", ["standardize", "log", "quantile"])
def test_targets_are_transformed_as_those_of_the_copies(transform):
    frame = weighted(900)
    frame["y"] = frame["y"].abs()
    by_weight, by_copies = prepared_pair(frame, "y", {"target": transform})
    assert len(by_copies.train.truth) > 1000  # more than knots of a quantile transform
    assert_same_state(by_weight.target_state, by_copies.target_state)


@pytest.mark.parametrize("numeric", ["standardize", "robust"])
@pytest.mark.parametrize(("target", "training"), [("y", {}), ("kind", {}), ("kind", {"class_weights": "balanced"})])
def test_a_training_in_full_batches_learns_what_the_copies_teach(folder, numeric, target, training):
    found = []
    frame = weighted()
    for weight, rows in (("w", frame), ("", repeated(frame))):
        rows.to_csv("t.csv", index=False)
        config = config_of(target, {"numeric": numeric}, training, weight, train="t.csv")
        found.append(train(config, Watch()).outcome)
    for name, tensor in found[0].model.ensemble.tensors().items():
        np.testing.assert_allclose(tensor, found[1].model.ensemble.tensors()[name], rtol=1e-9, atol=1e-11)
    for part, scores in found[0].scores.items():
        for metric, score in scores.items():
            assert score == pytest.approx(found[1].scores[part][metric], rel=1e-9, abs=1e-11), (part, metric)


def test_a_row_of_weight_0_is_not_there_whatever_it_holds(folder):
    frame = weighted()
    counted = frame[frame["w"] > 0]
    strange = pd.DataFrame({"x": 1e9, "letter": "strange", "y": -1e6, "kind": "odd", "w": 0, "day": "1900-01-01"}, [0])
    more = pd.concat([frame[frame["w"] > 0], strange.reindex(columns=frame.columns)], ignore_index=True)
    models = []
    for rows in (counted, more):
        rows.to_csv("t.csv", index=False)
        config = config_of("kind", training={"batch_size": 16}, train="t.csv", validation=0.25)
        models.append(train(config, Watch()).outcome)
    tensors = models[1].model.ensemble.tensors()
    for name, tensor in models[0].model.ensemble.tensors().items():
        assert np.array_equal(tensor, tensors[name])
    assert models[0].scores == models[1].scores


def test_rows_of_weight_0_are_named_and_count_in_no_score(folder):
    frame = weighted()
    frame.to_csv("t.csv", index=False)
    result = train(config_of("y", train="t.csv", validation="t.csv"), Watch())
    n_rows = int((frame["w"] == 0).sum())
    assert result.prepared.notes.count(f"t.csv: {n_rows} rows of weight 0 (w): left out.") == 2
    whole = mlp("eval", "run/weights.npz", "t.csv", "--json").document
    frame[frame["w"] > 0].to_csv("t.csv", index=False)
    assert mlp("eval", "run/weights.npz", "t.csv", "--json").document["scores"] == whole["scores"]
    assert whole["n_rows"] == len(frame) - n_rows


def test_weights_that_are_no_whole_numbers_are_relative():
    frame = weighted()
    halves, tenths = frame.assign(w=frame["w"] + 0.5), frame.assign(w=(frame["w"] + 0.5) / 1000)
    for target in ("y", "kind"):
        found = [prepare(config_of(target), table_from_frame(one)) for one in (halves, tenths)]
        assert found[0].preprocessor.feature_names == found[1].preprocessor.feature_names
        assert_same_state(found[0].preprocessor.state, found[1].preprocessor.state)
        assert_same_state(found[0].target_state, found[1].target_state)


def test_equal_weights_change_nothing():
    frame = weighted().assign(w=0.3)
    found = prepare(config_of("y"), table_from_frame(frame))
    plain = prepare(config_of("y", weight=""), table_from_frame(frame.drop(columns="w")))
    for name, values in found.preprocessor.state.items():
        assert np.array_equal(values, plain.preprocessor.state[name])
    assert np.array_equal(found.train.samples.X, plain.train.samples.X)
