"""Feature bagging: which columns each member sees, and that nothing else in the program needs to know."""

import re

import numpy as np
import pytest

from mlpcli.data.features.layout import input_spans, inputs_of_columns
from mlpcli.errors import ConfigError
from mlpcli.model import excluded_columns
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.warm_start import load_warm_start
from mlpcli.workflows.train import train
from mlpcli.workflows.training.initial_state import initial_state
from tests.export.models import COLUMNS, data_section
from tests.program import done, write_csv
from tests.workflows.staging import IRIS, Watch, loaded

FEATURES = "model.members.features"
BINS = {"encoding": {"name": "piecewise_linear", "bins": 4}}
EVERY_INPUT = {
    "numeric_embedding": {"name": "periodic", "frequencies": 3, "outputs": 2},
    "category_embedding": {"size": 2, "above": 3}, "scale_inputs": True,
}  # fmt: skip


def bagging(data=IRIS, features=0.5, count=6, model=(), training=None, **members):
    members = {"count": count, "features": features} | members
    data = {**data, "validation": None if members.get("rows") == "folds" else 0.2}
    model = {"layers": ["auto", 6, "auto"], "members": members, **dict(model)}
    return loaded(data, training, model=model, preprocess=BINS)


def columns_of(prepared):
    """The columns that each member sees."""
    names = [column.name for column in prepared.preprocessor.columns]
    excluded = [excluded_columns(prepared.preprocessor, network) for network in prepared.networks]
    return [tuple(name for name in names if name not in own) for own in excluded]


def masks_of(prepared):
    """For each member whether it sees each input."""
    n_in = prepared.network.n_in
    firsts = [network.layers[0] for network in prepared.networks]
    return [first.to_mask(n_in) if isinstance(first, ColumnMask) else np.ones(n_in, bool) for first in firsts]


@pytest.fixture(scope="module")
def every_column(tmp_path_factory):
    """The data section of a table with columns of every kind."""
    return data_section(tmp_path_factory.mktemp("table"), "label")


def test_a_member_sees_all_inputs_of_a_column_or_none(every_column):
    prepared = prepare(bagging(every_column, 0.6, model=EVERY_INPUT))
    features, seen = prepared.preprocessor.columns, columns_of(prepared)
    assert {len(own) for own in seen} == {round(0.6 * len(COLUMNS))}
    assert len(set(seen)) > 1
    for own, mask in zip(seen, masks_of(prepared), strict=True):
        np.testing.assert_array_equal(mask, inputs_of_columns(features, own))
        spans = [span for (kind, name), span in input_spans(features).items() if kind != "flag" and name in own]
        assert mask.sum() == sum(span.stop - span.start for span in spans) + len(
            {feature.flag_of for feature in features if feature.name in own} - {""}
        )


def test_embeddings_read_the_inputs_of_the_columns_that_the_member_sees(every_column):
    prepared = prepare(bagging(every_column, 0.6, model=EVERY_INPUT))
    preprocessor, n_in = prepared.preprocessor, prepared.network.n_in
    for network, mask in zip(prepared.networks, masks_of(prepared), strict=True):
        inputs = np.arange(n_in)[mask]
        (periodic,) = [layer for layer in network.layers if isinstance(layer, PeriodicEmbedding)]
        numbers = [i for i in preprocessor.number_inputs_with(0) if mask[i]]
        assert inputs[list(periodic.columns)].tolist() == numbers
        spans = [layer.spans for layer in network.layers if isinstance(layer, CategoryEmbedding)]
        wide = [span for span in preprocessor.category_blocks if span[1] - span[0] > 3 and mask[span[0]]]
        assert [(inputs[a], inputs[b - 1] + 1) for of in spans for a, b in of] == wide


def test_a_column_without_numbers_is_enough_for_a_member(every_column):
    """Then there is nothing to embed, and views leave the member what it has."""
    prepared = prepare(bagging(every_column, 0.01, count=16, views="alternate", model=EVERY_INPUT))
    seen = columns_of(prepared)
    assert {len(own) for own in seen} == {1}
    assert {"member", "code"} <= {own[0] for own in seen}
    assert all(mask.any() for mask in masks_of(prepared))


def test_views_and_columns_are_left_out_together():
    prepared = prepare(bagging(features=0.75, views="alternate", model={"numeric_embedding": "periodic"}))
    first, stop = prepared.preprocessor.bin_inputs
    for network, mask, own in zip(prepared.networks, masks_of(prepared), columns_of(prepared), strict=True):
        assert len(own) == 3
        has_cosines = any(isinstance(layer, PeriodicEmbedding) for layer in network.layers)
        assert mask[first:stop].any() != has_cosines


def test_a_shared_missing_indicator_is_seen_with_any_of_its_columns(folder):
    rows = [("" if i % 7 == 0 else i, "" if i % 7 == 0 else -i * i, i % 5, "ab"[i % 2]) for i in range(70)]
    write_csv(folder / "t.csv", ["x", "y", "z", "label"], rows)
    prepared = prepare(bagging({"train": "t.csv", "target": "label"}, 0.3, count=12))
    flag = input_spans(prepared.preprocessor.columns)["flag", "x"].start
    seen = columns_of(prepared)
    assert set(seen) == {("x",), ("y",), ("z",)}
    assert [bool(mask[flag]) for mask in masks_of(prepared)] == [own != ("z",) for own in seen]


def test_columns_depend_on_seed_and_member_alone_and_a_larger_fraction_adds_to_them(every_column):
    seen = columns_of(prepare(bagging(every_column, 0.5)))
    assert columns_of(prepare(bagging(every_column, 0.5, count=3))) == seen[:3]
    more = columns_of(prepare(bagging(every_column, 0.8)))
    assert all(set(own) < set(larger) for own, larger in zip(seen, more, strict=True))
    assert columns_of(prepare(bagging(every_column, 0.5, training={"seed": 1}))) != seen


def test_a_fraction_that_is_drawn_is_recorded_and_gives_each_member_its_number_of_columns(every_column):
    prepared = prepare(bagging(every_column, 1, draw={FEATURES: {"uniform": [0.2, 1]}}))
    fractions = [drawn[FEATURES] for drawn in prepared.drawn]
    assert [len(own) for own in columns_of(prepared)] == [round(fraction * len(COLUMNS)) for fraction in fractions]
    assert len(set(fractions)) == 6


def test_members_of_a_round_see_the_same_columns_only_where_rounds_are_selected():
    folds = {"count": 6, "rows": "folds", "folds": 3}
    seen = columns_of(prepare(bagging(select="greedy", **folds)))
    assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4] == seen[5]
    assert len(set(columns_of(prepare(bagging(**folds)))[:3])) > 1


@pytest.mark.parametrize("features", [0, 1.1, -0.5])
def test_a_fraction_of_columns_lies_above_0_and_is_at_most_1(features):
    with pytest.raises(ConfigError, match=re.escape(f"{FEATURES}: must be a number greater than 0 and at most 1")):
        bagging(features=features)


def test_columns_that_no_member_sees_are_named(folder):
    watch = Watch()
    train(bagging(features=0.25, count=1), watch)
    (seen,) = columns_of(prepare(bagging(features=0.25, count=1)))[0]
    (note,) = [note for note in watch.notes if note.startswith("no member sees ")]
    assert seen not in note
    assert note.count("_") == 3


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_predictions_do_not_depend_on_a_column_that_no_member_sees(folder, engine):
    if engine == "compiled":
        pytest.importorskip("numba", reason="the compiled engine needs the extra fast")
    train(bagging(features=0.25, count=1, training={"engine": engine, "epochs": 3}), Watch())
    model = load_model("run/weights.npz")
    (excluded,) = model.excluded_columns
    mask = inputs_of_columns(model.preprocessor.columns, excluded)
    X = np.random.default_rng(0).normal(size=(20, model.ensemble.first.n_in)).astype(np.float32)
    before = model.ensemble.outputs(X)
    X[:, mask] += 1.0
    np.testing.assert_array_equal(model.ensemble.outputs(X), before)
    X[:, ~mask] += 1.0
    assert not np.array_equal(model.ensemble.outputs(X), before)


def test_a_training_that_continues_from_the_model_leaves_out_the_same_columns(folder):
    """Although the mask stands directly before weights that it could be merged into."""
    train(bagging(), Watch())
    before = load_model("run/weights.npz")
    start = load_warm_start("run/weights.npz")
    prepared = prepare(bagging(), start=start)
    assert [network.layers for network in prepared.networks] == [one.layers for one in before.ensemble.networks]
    assert any(before.excluded_columns)
    assert prepared.n_saved_parameters == sum(member.flat.size for member in initial_state(prepared).members)


def test_check_and_inspect_show_the_columns_of_the_members(folder):
    config = bagging(features=0.5, count=3)
    train(config, Watch())
    excluded = load_model("run/weights.npz").excluded_columns
    document = done("inspect", "run/weights.npz", "--json").document
    assert document["excluded_columns"] == [list(own) for own in excluded]
    shown = done("inspect", "run/weights.npz").stdout
    assert "without columns" in shown
    assert all(", ".join(own) in shown for own in excluded)
    checked = done("check", "run/config.yaml", "--set", f"{FEATURES}=0.75").stdout
    assert "3 members · 3 of 4 columns each" in checked


def test_an_explanation_of_predictions_gives_a_column_that_no_member_sees_no_part(folder):
    train(bagging(features=0.25, count=1, training={"epochs": 4}), Watch())
    (excluded,) = load_model("run/weights.npz").excluded_columns
    importance = done("explain", "run/weights.npz", IRIS["train"], "--json").document["columns"]
    assert {own["column"]: own["loss"] for own in importance}.items() >= dict.fromkeys(excluded, 0.0).items()


def test_the_model_of_a_cross_validation_has_the_columns_of_each_member(folder):
    train(bagging(count=2), Watch())
    done("cv", "run/config.yaml", "--folds", "2", "--keep", "--output", "cv")
    alone = load_model("run/weights.npz").excluded_columns
    assert load_model("cv/weights.npz").excluded_columns == alone * 2
