"""weights.npz: a whole model in, the same model out, and nothing else."""

import dataclasses
import json
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mlpcli.data.features.preprocessor import cast_inputs, transform
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.errors import ModelFileError
from mlpcli.storage.atomic import write_file
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.storage.npz import encode_npz
from tests.program import DATA, done, mlp, train, write_csv


def parts(path):
    """Header and arrays of a model file."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop("header").tobytes()), arrays


def reloaded(tmp_path, weights, change):
    """Change header and arrays of a model file, and load it."""
    header, arrays = parts(weights)
    change(header, arrays)
    path = tmp_path / "w.npz"
    path.write_bytes(encode_npz(arrays, header))
    return load_model(str(path))


def in_network(member=0, **changes):
    return lambda header, arrays: header["networks"][member].update(changes)


def in_layer(number, member=0, **changes):
    return lambda header, arrays: header["networks"][member]["layers"][number].update(changes)


def test_a_model_comes_back_as_it_was_and_is_written_in_the_same_bytes(iris, penguins, diabetes):
    for path in (iris, penguins, diabetes):
        model = load_model(str(path))
        assert encode_model(model) == path.read_bytes()


def test_every_kind_of_target_and_column_comes_back(folder):
    rows = [
        (i % 7, f"2024-01-{1 + i % 28:02}", ("yes", "no")[i % 2], "xyz"[i % 3], i % 2, int(i % 3 == 0))
        for i in range(60)
    ]
    write_csv(folder / "t.csv", ["n", "day", "flag", "letter", "a", "b"], rows)
    weights = train(folder, {"train": "t.csv", "target": ["a", "b"]}, {"epochs": 1, "dtype": "float64"})
    model = load_model(str(weights))
    assert [column.role for column in model.preprocessor.columns] == ["number", "date", "boolean", "category"]
    assert model.target.names == ("a", "b")
    assert model.ensemble.dtype == np.float64
    assert encode_model(model) == weights.read_bytes()


def test_the_arrays_have_the_names_and_shapes_of_the_formula(iris):
    header, arrays = parts(iris)
    assert {name: array.shape for name, array in arrays.items()} == {
        "W1": (8, 4),
        "b1": (8,),
        "W2": (3, 8),
        "b2": (3,),
        "input_fill": (4,),
        "input_center": (4,),
        "input_scale": (4,),
        "conformity_scores": (30,),
    }
    assert (header["kind"], header["format"], header["dtype"]) == ("model", 1, "float32")
    (network,) = header["networks"]
    assert (network["n_in"], network["output"]) == (4, "softmax")
    assert [layer["name"] for layer in network["layers"]] == ["dense", "activation", "dense"]
    assert header["target"]["labels"] == ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, a: a.update(W1=a["W1"].T.copy()), "W1 is float32 (4, 8), expected float32 (8, 4)"),
        (lambda h, a: a.update(b1=a["b1"].astype(np.float64)), "b1 is float64"),
        (lambda h, a: a.pop("W2"), "43 parameters where the networks have 67"),
        (lambda h, a: a.pop("input_fill"), "input_fill is missing"),
        (lambda h, a: a.update(W3=a["W2"]), "it holds W3, which no model has"),
        (lambda h, a: a.update(extra=a["b2"]), "it holds extra, which no model has"),
        (in_layer(0, width=10**9), "67 parameters where the networks have 8000000003"),
        (in_layer(2, width=4), "4 outputs for 3 classes or targets"),
        (in_network(output="magic"), "an output activation that this version does not know"),
        (in_network(n_in=5), "a network of 5 inputs for 4"),
        (lambda h, a: h.update(networks=[]), "no network"),
        (lambda h, a: h["networks"][0]["layers"].pop(), "a network whose last layer is not dense"),
        (lambda h, a: h["networks"][0].update(layers=[]), "a network whose last layer is not dense"),
        (lambda h, a: h["networks"][0]["layers"].append({"name": "softmax"}), "whose last layer is not dense"),
        (in_network(layers=[{"name": "softmax"}] * 1001), "a network of more than 1000 layers"),
        (in_network(layers=[{"name": "residual", "layers": [{"name": "softmax"}] * 1000}]), "more than 1000 layers"),
        (
            in_network(layers=[{"name": "residual", "layers": [{"name": "residual", "layers": []}]}]),
            "a residual layer within another",
        ),
        (lambda h, a: h["feature_names"].pop(), "3 input names for 4 inputs"),
        (lambda h, a: [h["columns"].pop(), h["reference"]["columns"].pop()], "4 input names for 3 inputs"),
        (lambda h, a: h["target"]["labels"].pop(), "3 outputs for 2 classes or targets"),
        (lambda h, a: a["input_scale"].__setitem__(0, 0.0), "input_scale holds a scale that is not positive"),
        (lambda h, a: a["input_scale"].__setitem__(0, -1.0), "input_scale holds a scale that is not positive"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(tmp_path, iris, change, message):
    with pytest.raises(ModelFileError) as caught:
        reloaded(tmp_path, iris, change)
    assert f"{tmp_path}/w.npz: its contents are inconsistent: " in str(caught.value)
    assert message in str(caught.value)
    assert "mlp train CONFIG" in str(caught.value)


@pytest.mark.parametrize("name", ["W1", "b2", "input_center", "input_fill"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path, iris, name, value):
    with pytest.raises(ModelFileError, match=f"{name} holds numbers that are not finite"):
        reloaded(tmp_path, iris, lambda header, arrays: arrays[name].reshape(-1).__setitem__(-1, value))


@pytest.mark.parametrize(
    "change",
    [
        lambda h, a: h.pop("columns"),
        lambda h, a: h.update(surprise=1),
        lambda h, a: h.update(dtype="float16"),
        lambda h, a: h["networks"][0].update(n_in="4"),
        in_layer(1, function="magic"),
        in_layer(0, name="magic"),
        lambda h, a: h["columns"][0]["schema"].update(role="magic"),
        lambda h, a: h["columns"][0]["schema"].pop("missing"),
        lambda h, a: h["columns"][0]["schema"].update(number={}),
        lambda h, a: h["target"].update(kind="magic"),
        lambda h, a: h.update(columns=None),
    ],
)
def test_a_header_that_is_not_ours_is_refused(tmp_path, iris, change):
    with pytest.raises(ModelFileError, match=r"w\.npz"):
        reloaded(tmp_path, iris, change)


def test_any_single_field_of_the_header_that_is_removed_or_emptied_is_refused_or_harmless(tmp_path, penguins):
    header, _ = parts(penguins)
    sections = [(), *((key,) for key in header if isinstance(header[key], dict) and key not in ("record", "scores"))]
    for section in sections:
        for key in list(header[section[0]] if section else header):
            for value in (None, [], {}, -1, "x"):

                def change(h, a, section=section, key=key, value=value):
                    (h[section[0]] if section else h)[key] = value

                try:
                    model = reloaded(tmp_path, penguins, change)
                except ModelFileError:
                    continue
                # What loads predicts, or says why not.
                write_file(str(tmp_path / "changed.npz"), encode_model(model))
                ended = mlp("predict", tmp_path / "changed.npz", DATA / "penguins.csv")
                assert ended.code in (0, 2), ended.stderr


@pytest.mark.parametrize("value", [None, [], {}, -1, "x", ["x", "y", "z"], True])
def test_any_field_of_how_a_column_is_read_that_is_damaged_is_refused_or_harmless(tmp_path, coded, value):
    table = write_csv(tmp_path / "t.csv", ["n", "two", "day", "letter"], [(3, 1, "2024-01-02", "x")])
    header, _ = parts(coded)
    for number, column in enumerate(header["columns"]):
        for key in column["schema"]:

            def change(h, a, number=number, key=key):
                h["columns"][number]["schema"][key] = value

            try:
                model = reloaded(tmp_path, coded, change)
            except ModelFileError:
                continue
            write_file(str(tmp_path / "changed.npz"), encode_model(model))
            ended = mlp("predict", tmp_path / "changed.npz", table)
            assert ended.code in (0, 2), (number, key, ended.stderr)


@pytest.fixture(scope="module")
def bent(tmp_path_factory):
    """A clamped regression on normal scores."""
    folder = tmp_path_factory.mktemp("bent")
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
    return train(folder, data, preprocess={"target": "quantile"}, postprocess={"clamp": True})


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """Two classes with a temperature and a threshold."""
    folder = tmp_path_factory.mktemp("calibrated")
    data = {"train": str(DATA / "breast_cancer.csv"), "target": "diagnosis"}
    return train(folder, data, postprocess={"calibration": "temperature", "threshold": "balanced_accuracy"})


def filled(name, *values):
    """A change that replaces an array."""
    return lambda header, arrays: arrays.update({name: np.array(values)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (filled("temperature", 0.0), "the temperature is not positive"),
        (filled("temperature", np.nan), "temperature holds numbers that are not finite"),
        (filled("temperature", 1.0, 2.0), "temperature is float64 (2,), expected float64 (1,)"),
        (filled("threshold", 0.0), "the threshold is not between 0 and 1"),
        (filled("threshold", 1.0), "the threshold is not between 0 and 1"),
        (filled("threshold", 0.2, 0.3), "threshold is float64 (2,), expected float64 (1,)"),
        (filled("target_low", 0.0), "it holds target_low, which no model has"),
    ],
)
def test_what_comes_after_a_network_of_classes_is_checked(tmp_path, calibrated, change, message):
    with pytest.raises(ModelFileError) as caught:
        reloaded(tmp_path, calibrated, change)
    assert message in str(caught.value)


def test_three_classes_have_a_threshold_each(tmp_path, iris):
    with pytest.raises(ModelFileError, match=r"threshold is float64 \(1,\), expected float64 \(3,\)"):
        reloaded(tmp_path, iris, filled("threshold", 0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, a: a.update(target_low=a["target_high"] + 1), "target_low is above target_high"),
        (lambda h, a: a.pop("target_low"), "target_low is missing"),
        (lambda h, a: a.pop("target_high"), "target_high is missing"),
        (lambda h, a: a.pop("target_scores"), "target_scores is missing"),
        (lambda h, a: a.update(target_scores=a["target_scores"][::-1].copy()), "target_scores is not increasing"),
        (lambda h, a: a.update(target_quantiles=0 * a["target_quantiles"]), "target_quantiles is not increasing"),
        (lambda h, a: a.update(target_quantiles=a["target_quantiles"][1:]), "target_quantiles is float64"),
        (lambda h, a: h["target"].update(n_quantiles=[]), "n_quantiles for 1 targets to quantile"),
        (lambda h, a: h["target"].update(n_quantiles=[1]), "n_quantiles for 1 targets to quantile"),
        (lambda h, a: h["target"].update(n_quantiles=[-5]), "n_quantiles for 1 targets to quantile"),
        (lambda h, a: h["target"].update(n_quantiles=[10**12]), "target_quantiles is float64"),
        (lambda h, a: h["target"].update(transform="log", n_quantiles=[]), "it holds target_quantiles, which no model"),
        (lambda h, a: h["target"].update(transform="magic"), "transform"),
        (lambda h, a: h["target"].update(fitted=[0.1, 0.5]), "quantiles that are not three rising numbers"),
        (lambda h, a: h["target"].update(fitted=[0.5, 0.1, 0.9]), "quantiles that are not three rising numbers"),
        (lambda h, a: h["target"].update(fitted=[0.1, 0.5, 1.0]), "quantiles that are not three rising numbers"),
        (lambda h, a: h["target"].update(fitted=[0.1, 0.5, 0.9]), "1 outputs for 3 classes or targets"),
        (filled("temperature", 1.0), "it holds temperature, which no model has"),
    ],
)
def test_what_comes_after_a_network_of_amounts_is_checked(tmp_path, bent, change, message):
    with pytest.raises(ModelFileError) as caught:
        reloaded(tmp_path, bent, change)
    assert message in str(caught.value)


CODED = {
    "numeric": "quantile",
    "encoding": {"name": "piecewise_linear", "bins": 4, "edges": "target", "span": 0.3},
    "categorical": {"binary": "one"},
}


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A model whose columns have quantiles, bins, and one input for two levels."""
    place = tmp_path_factory.mktemp("coded")
    rows = [(i % 13, i % 2, f"2024-01-{1 + i % 28:02}", "xy"[i % 3 > 0], ("yes", "no")[i % 2]) for i in range(60)]
    table = write_csv(place / "t.csv", ["n", "two", "day", "letter", "target"], rows)
    return train(place, {"train": str(table), "target": "target"}, preprocess=CODED)


def test_quantiles_and_bins_come_back_and_are_written_in_the_same_bytes(coded):
    model = load_model(str(coded))
    number, two, day, letter = model.preprocessor.columns
    assert (number.n_quantiles, number.n_bins) == (13, 4)
    assert (two.n_quantiles, two.n_bins) == (2, 0)
    assert day.n_bins == 4
    assert letter.is_signed
    assert [column.bin_span for column in model.preprocessor.columns] == [0.3, None, 0.3, None]
    assert [column.n_distinct for column in model.preprocessor.columns] == [13, 2, 27, 0]
    _, arrays = parts(coded)
    assert arrays["input_quantiles"].shape == arrays["input_scores"].shape == (15 + day.n_quantiles,)
    assert arrays["input_edges"].shape == (10,)
    assert encode_model(model) == coded.read_bytes()


@pytest.mark.parametrize("span", [None, 0.3])
@pytest.mark.parametrize("numeric", ["quantile", {"name": "robust", "clip": 3.0}])
def test_a_reader_gets_the_inputs_of_numbers_from_the_arrays_as_documented(tmp_path, numeric, span):
    values = [(i * i % 37 / 7, "uv"[i % 2]) for i in range(50)]
    table = write_csv(tmp_path / "t.csv", ["x", "target"], values)
    preprocess = {"numeric": numeric, "encoding": {"name": "piecewise_linear", "bins": 3, "span": span}}
    weights = train(tmp_path, {"train": str(table), "target": "target"}, preprocess=preprocess)
    header, arrays = parts(weights)
    (column,) = header["columns"]
    x = np.linspace(-1, 6, 50)
    if column["n_quantiles"]:
        first = np.interp(x, arrays["input_quantiles"], arrays["input_scores"])
    else:
        z = (x - arrays["input_center"]) / arrays["input_scale"]
        first = z / np.sqrt(1 + (z / column["clip"]) ** 2)
    edges = arrays["input_edges"]
    bins = [np.clip((x - low) / (high - low), 0, 1) for low, high in pairwise(edges)]
    if (s := column["bin_span"]) is not None:
        bins = [(2 * e - 1) * s for e in bins]
    preprocessor = load_model(str(weights)).preprocessor
    X, _ = transform(preprocessor, cast_inputs(preprocessor, table_from_frame(pd.DataFrame({"x": x}))), np.float64)
    assert header["feature_names"][0] == "x"
    assert column["n_bins"] == 3
    np.testing.assert_allclose(X, np.column_stack([first, *bins]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, a: a.pop("input_edges"), "input_edges is missing"),
        (lambda h, a: a.update(input_edges=a["input_edges"][:-1].copy()), "input_edges is float64 (9,), expected"),
        (lambda h, a: a["input_edges"].__setitem__(1, -5.0), "input_edges is not increasing (column n)"),
        (
            lambda h, a: a["input_edges"].__setitem__(9, a["input_edges"][8]),
            ("input_edges is not increasing (column day)"),
        ),
        (lambda h, a: a["input_quantiles"].__setitem__(14, 0.0), "input_quantiles is not increasing (column two)"),
        (lambda h, a: a["input_scores"].__setitem__(0, 9.0), "input_scores is not increasing (column n)"),
        (lambda h, a: h["columns"][0].update(n_quantiles=12), "input_quantiles is float64"),
        (lambda h, a: h["columns"][0].update(n_bins=3), "input names for"),
        (lambda h, a: h["columns"][1].update(bin_span=0.3), "a span of bins in a number column that has none"),
        (lambda h, a: h["columns"][3].update(n_distinct=2), "a category column that is scaled like a number"),
        (lambda h, a: h["columns"][0].update(is_signed=True), "a number column with one input for two levels"),
        (lambda h, a: h["columns"][3].update(n_bins=2), "a category column that is scaled like a number"),
        (lambda h, a: h["columns"][3].update(levels=["x"]), "1 levels that share one input as -1 and 1"),
    ],
)
def test_what_was_learnt_of_the_columns_must_fit_them(tmp_path, coded, change, message):
    with pytest.raises(ModelFileError) as caught:
        reloaded(tmp_path, coded, change)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [-1, 0.5, None])
def test_counts_of_quantiles_bins_and_values_are_whole_numbers_from_0(tmp_path, coded, value):
    for key in ("n_quantiles", "n_bins", "n_distinct"):
        with pytest.raises(ModelFileError, match=rf"columns\.?\[0\]\.{key}"):
            reloaded(tmp_path, coded, lambda header, arrays, key=key: header["columns"][0].update({key: value}))


def test_the_scores_and_the_record_are_for_people(tmp_path, iris):
    model = load_model(str(iris))
    bare = dataclasses.replace(model, scores={}, record={})
    (tmp_path / "bare.npz").write_bytes(encode_model(bare))
    expected = done("predict", iris, DATA / "iris.csv").stdout
    assert done("predict", tmp_path / "bare.npz", DATA / "iris.csv").stdout == expected
    assert done("inspect", tmp_path / "bare.npz").lines[-1] == "all numbers are finite"


def test_the_largest_seed_comes_back(folder):
    weights = train(folder, {"train": str(DATA / "iris.csv"), "target": "species"}, {"epochs": 1, "seed": 2**63 - 1})
    assert load_model(str(weights)).record["seed"] == 2**63 - 1


def test_a_run_cut_off_between_its_two_renames_is_found(folder):
    weights = train(folder, {"train": str(DATA / "iris.csv"), "target": "species"})
    expected = weights.read_bytes()
    weights.parent.rename(folder / "run.complete")
    (folder / "run.replaced").mkdir()
    load_model(str(weights))
    assert weights.read_bytes() == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(n_rows=0),
        lambda c: c.update(n_rows=10),
        lambda c: c.update(n_rows=10**400),
        lambda c: c["columns"].pop(),
        lambda c: c["columns"][0].update(edges=c["columns"][0]["edges"][::-1]),
        lambda c: c["columns"][0].update(edges=[float(i) for i in range(20)], counts=[1] * 21),
        lambda c: c["columns"][0]["counts"].pop(),
        lambda c: c["columns"][0]["counts"].__setitem__(0, -1),
        lambda c: c["columns"][0]["counts"].__setitem__(0, 10**30),
        lambda c: c["columns"][0].update(edges=[], levels=["a"], counts=[1, 1]),
    ],
)
def test_a_reference_profile_that_does_not_fit_is_refused(tmp_path, iris, change):
    with pytest.raises(ModelFileError, match="its contents are inconsistent: a reference profile"):
        reloaded(tmp_path, iris, lambda header, arrays: change(header["reference"]))


@pytest.mark.parametrize(
    "change",
    [
        lambda known: known.update(levels=["a", "a"], counts=[1, 1]),
        lambda known: known.update(levels=[str(i) for i in range(1001)], counts=[0] * 1001),
        lambda known: known.update(levels=[], counts=[], is_sample=True),
        lambda known: known.update(edges=[1.0]),
        lambda known: known["counts"].append(1),
        lambda known: known["counts"].__setitem__(0, known["counts"][0] + 1),  # more than are in its bucket
        lambda known: known["buckets"].pop(),
        lambda known: known["buckets"].__setitem__(0, 10**30),
        lambda known: known["buckets"].__setitem__(0, -1),
    ],
)
def test_levels_of_a_reference_profile_must_fit_their_buckets(tmp_path, penguins, change):
    with pytest.raises(ModelFileError, match="a reference profile that does not fit column island"):
        reloaded(tmp_path, penguins, lambda header, arrays: change(header["reference"]["columns"][0]))


def test_more_missing_cells_than_rows_are_refused(tmp_path, iris):
    with pytest.raises(ModelFileError, match="a reference profile that does not fit column sepal_length"):
        reloaded(tmp_path, iris, lambda header, arrays: header["columns"][0].update(n_missing=10**6))


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Three members with cosines, slopes and layer normalization."""
    folder = tmp_path_factory.mktemp("members")
    model = {
        "layers": ["auto", 6, 6, "auto"], "members": 3, "numeric_embedding": {"frequencies": 4, "outputs": 2},
        "learn_slopes": True, "layer_norm": True, "residual": True, "scale_inputs": True,
    }  # fmt: skip
    return train(folder, {"train": str(DATA / "iris.csv"), "target": "species"}, model=model)


def test_members_and_the_parts_beside_the_layers_come_back_and_are_written_in_the_same_bytes(members):
    model, (header, arrays) = load_model(str(members)), parts(members)
    assert encode_model(model) == members.read_bytes()
    assert [len(network["layers"]) for network in header["networks"]] == [6, 6, 6]
    assert header["networks"][0]["layers"][0]["columns"] == [0, 1, 2, 3]
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes["m1.W1"] == shapes["m3.W1"] == (6, 4 + 4 * 2)
    assert shapes["m2.frequency1"] == (4, 4)
    assert shapes["m2.mixing1"] == (4, 2, 4)
    assert shapes["m1.slope2"] == shapes["m1.gain1"] == shapes["m1.shift1"] == (6,)
    assert not any("scale1" in name for name in shapes)


INNER = {
    "name": "dense",
    "width": 5,
    "has_bias": True,
    "start": {"name": "lecun_normal", "bias_scale": 0.0, "zero_last": False},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_layer(0, columns=[0, 1, 2, 4]), "layers that do not fit (column 5 of 4)"),
        (in_layer(0, columns=[0, 1, 2]), "parameters where the networks have"),
        (in_layer(0, frequencies=5), "parameters where the networks have"),
        (in_layer(0, outputs=4096), "parameters where the networks have"),
        (in_layer(4, layers=[INNER]), "layers that do not fit (a residual connection from 6 to 5)"),
        (in_layer(3, is_learnt=False), "it holds m1.slope2, which no model has"),
        (lambda h, a: (h["networks"].pop(), h["counts"].pop()), "it holds m3."),
        (lambda h, a: (h["networks"].append(h["networks"][0]), h["counts"].append(1)), "parameters where the networks"),
        (lambda h, a: h["networks"].pop(), "counts of members that are not one above 0 for each"),
        (lambda h, a: h.update(counts=[1, 0, 1]), "counts of members that are not one above 0 for each"),
        (lambda h, a: h.update(counts=[1, 10**400, 1]), "counts of members that are not one above 0 for each"),
        (lambda h, a: h["networks"][1]["layers"].insert(0, {"name": "column_mask", "spans": [[0, 9]]}), "9 of 4"),
        (lambda h, a: a.pop("m1.slope1"), "parameters where the networks have"),
        (lambda h, a: a.update({"m1.phase1": a["m1.phase1"].reshape(16)}), "m1.phase1 is float32 (16,), expected"),
        (lambda h, a: a.update({"m1.W1": a["m1.W1"].T.copy()}), "m1.W1 is float32 (12, 6), expected float32 (6, 12)"),
    ],
)  # fmt: skip
def test_members_and_layers_that_do_not_fit_the_arrays_are_refused(tmp_path, members, change, message):
    with pytest.raises(ModelFileError) as caught:
        reloaded(tmp_path, members, change)
    assert f"{tmp_path}/w.npz: its contents are inconsistent: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        in_layer(1, width=10**4000), in_layer(1, width=0), in_layer(0, frequencies=10**4000),
        in_layer(0, columns=[1, 0]),
        in_layer(0, columns=[-1, 0]), in_layer(0, columns=[]), in_layer(0, sigma=-1.0), in_layer(0, name="dropout"),
        lambda h, a: h["networks"][0]["layers"].append({"name": "dropout", "rate": 5.0, "stream": 0}),
        lambda h, a: h["networks"][0]["layers"].append({"name": "dropout", "rate": 0.1, "stream": 10**4000}),
        lambda h, a: h["networks"][0]["layers"].append({"name": "category", "spans": [[3, 1]], "size": 2}),
    ],
)  # fmt: skip
def test_a_field_out_of_its_bounds_is_refused_in_one_sentence(tmp_path, members, change):
    with pytest.raises(ModelFileError, match=r"the header does not fit this mlp at networks\[0\]"):
        reloaded(tmp_path, members, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["reading"].update(decimal=""),
        lambda h: h["reading"].update(decimal="x" * 10000),
        lambda h: h["reading"].update(decimal=",", thousands=","),
        lambda h: h["reading"].update(thousands="ab"),
        lambda h: h["reading"].update(delimiter=","),
        lambda h: h["reading"].update(skip_rows=10**400),
        lambda h: h["reading"].update(skip_rows=-1),
        lambda h: h["columns"][0]["schema"]["number"].update(decimal=""),
        lambda h: h["target"]["schema"]["number"].update(thousands="."),
    ],
)
def test_tables_that_could_not_be_read_as_the_file_says_are_refused(tmp_path, iris, change):
    with pytest.raises(ModelFileError, match="written in a way this version does not know"):
        reloaded(tmp_path, iris, lambda header, arrays: change(header))


def test_members_with_other_numbers_of_outputs_than_the_first_are_refused(tmp_path, calibrated):
    def change(header, arrays):
        other = json.loads(json.dumps(header["networks"][0]))
        other["layers"][-1]["width"] = 1
        header["networks"] = [header["networks"][0], other]

    with pytest.raises(ModelFileError, match="its contents are inconsistent: networks of 2 and 1 outputs"):
        reloaded(tmp_path, calibrated, change)


@pytest.mark.parametrize("value", [None, "x", -1, [], {}, 0.5, [[1]], True, 10**4000])
def test_any_field_of_a_layer_that_is_damaged_is_refused_or_harmless(tmp_path, members, value):
    header, _ = parts(members)
    layers = header["networks"][0]["layers"]
    for number, key in [(number, key) for number, layer in enumerate(layers) for key in layer]:
        try:
            model = reloaded(tmp_path, members, in_layer(number, **{key: value}))
        except ModelFileError:
            continue
        write_file(str(tmp_path / "changed.npz"), encode_model(model))
        ended = mlp("predict", tmp_path / "changed.npz", DATA / "iris.csv")
        assert ended.code in (0, 2), (key, ended.stderr)


@pytest.mark.parametrize("name", ["m1.frequency1", "m2.offset1", "m3.slope1", "m1.gain2", "m1.W3"])
def test_members_with_numbers_that_are_not_finite_are_refused(tmp_path, members, name):
    with pytest.raises(ModelFileError, match=f"{name} holds numbers that are not finite"):
        reloaded(tmp_path, members, lambda h, a: a[name].reshape(-1).__setitem__(-1, np.nan))


def test_the_documented_computation_from_the_arrays_gives_the_predictions_of_members(tmp_path):
    model = {"layers": ["auto", 5, "auto"], "members": 2, "numeric_embedding": "periodic", "activation": "tanh"}
    weights = train(tmp_path, {"train": str(DATA / "iris.csv"), "target": "species"}, model=model)
    _, a = parts(weights)
    table = pd.read_csv(DATA / "iris.csv")
    x = (table.iloc[:, :4].to_numpy() - a["input_center"]) / a["input_scale"]
    found = []
    for member in ("m1.", "m2."):
        f, p, m, o = (a[member + name] for name in ("frequency1", "phase1", "mixing1", "offset1"))
        cosines = [np.cos(2 * np.pi * x[:, [k]] * f[k] + p[k]) @ m[k].T + o[k] for k in range(4)]
        h = np.tanh(np.hstack([x, *cosines]) @ a[f"{member}W1"].T + a[f"{member}b1"])
        z = h @ a[f"{member}W2"].T + a[f"{member}b2"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        found.append(e / e.sum(axis=1, keepdims=True))
    rows = done("predict", weights, DATA / "iris.csv", "--proba").rows
    expected = [[float(row[f"p_{label}"]) for label in ("setosa", "versicolor", "virginica")] for row in rows]
    np.testing.assert_allclose(np.mean(found, axis=0), expected, atol=2e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(data=0),
        lambda record: record.update(sittings={}),
        lambda record: record["sittings"].append(1),
        lambda record: record["sittings"].append({**record["sittings"][0], "epoch": -1}),
        lambda record: record["sittings"][0].update(versions=[1]),
        lambda record: record["sittings"][0].update(threads=True),
        lambda record: record["sittings"][0].pop("engine"),
        lambda record: record.update(epochs=-5),
        lambda record: record["data"].update(sha256={"train": 3}),
        lambda record: record["config"].update(data="-"),
        lambda record: record["config"]["data"].update(train=[1]),
        lambda record: record.update(rows={"train": "many"}),
    ],
)
def test_a_record_of_the_wrong_kind_is_refused_before_anyone_reads_it(tmp_path, iris, change):
    with pytest.raises(ModelFileError, match=r"w\.npz: the header does not fit this mlp at record\.[a-z]+"):
        reloaded(tmp_path, iris, lambda header, arrays: change(header["record"]))


@pytest.fixture(scope="module")
def folds_by_region(tmp_path_factory):
    """weights.npz of two members on folds, whose intervals go by a column that is no input."""
    folder = tmp_path_factory.mktemp("folds")
    rows = [(i % 13, "ab"[i % 2], i % 13 + i % 3) for i in range(80)]
    write_csv(folder / "t.csv", ["x", "region", "y"], rows)
    data = {"train": str(folder / "t.csv"), "target": "y", "drop": ["region"], "validation": None}
    members = {"layers": ["auto", 4, "auto"], "members": {"count": 2, "rows": "folds"}}
    return train(folder, data, model=members, intervals={"by": "region"}, task="regression")


def test_the_scores_of_intervals_come_back_as_they_were(folds_by_region):
    model = load_model(str(folds_by_region))
    assert encode_model(model) == folds_by_region.read_bytes()
    rows = model.conformity.rows
    assert (rows.by, rows.groups, rows.n_folds, rows.source) == ("region", ("a", "b"), 2, "folds")
    assert sum(rows.n_rows) == 80
    assert (model.interval_by.name, model.interval_by.role) == ("region", "category")


def in_conformity(**changes):
    return lambda header, arrays: header["conformity"].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_conformity(n_rows=[80]), "1 counts of calibration rows for 1 targets"),
        (in_conformity(n_rows=[10**15] * 4), "conformity_scores is float64 (80,), expected"),
        (in_conformity(n_rows=[-1, 81, 0, 0]), "must be at least 0"),
        (in_conformity(n_rows=[20, 20, 20, 21]), "conformity_scores is float64 (80,), expected float64 (81,)"),
        (in_conformity(groups=["a", "a"]), "invalid groups of calibration rows"),
        (in_conformity(groups=[]), "calibration rows"),
        (in_conformity(by="other"), "groups of calibration rows without their column"),
        (in_conformity(kind="probability"), "scores of the kind probability of numbers"),
        (in_conformity(kind="odd"), "must be 'absolute' or 'signed' or 'quantiles' or 'probability'"),
        (in_conformity(kind="quantiles"), "scores of the kind quantiles of outputs of another kind"),
        (in_conformity(scale="log"), "scores of logarithms of a target without"),
        (in_conformity(n_folds=4, n_rows=[10] * 8), "4 folds of 2 members"),
        (in_conformity(n_folds=0), "must be at least 1"),
        (lambda h, a: h.update(conformity=None), "groups of intervals without calibration rows"),
        (lambda h, a: h.update(interval_by=None), "groups of calibration rows without their column"),
        (lambda h, a: a.pop("conformity_scores"), "conformity_scores"),
        (
            lambda h, a: a.update(conformity_scores=a["conformity_scores"][::-1].copy()),
            ("conformity_scores is not sorted"),
        ),
        (lambda h, a: a["conformity_scores"].__setitem__(0, np.nan), "conformity_scores holds numbers that are not"),
    ],
)
def test_scores_of_intervals_that_do_not_fit_are_refused(change, message, folds_by_region, tmp_path):
    with pytest.raises(ModelFileError, match=re.escape(message)):
        reloaded(tmp_path, folds_by_region, change)
