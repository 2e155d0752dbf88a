"""`mlp predict`: a row out for each row in, in the user's own words."""

import csv
import gzip
import json
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlpcli
from tests.program import DATA, done, mlp, train, write_csv

PENGUINS = DATA / "penguins.csv"
IRIS = DATA / "iris.csv"


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def yes_no_table(path, labels, n_rows=40):
    """Two columns of numbers; the label follows from the first."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n_rows, 2)).round(3)
    return write_csv(path, ["a", "b", "label"], [(*row, labels[int(row[0] > 0)]) for row in x.tolist()])


def test_there_is_one_answer_per_row_in_the_order_of_the_rows(folder, penguins):
    rows = read(PENGUINS)
    shuffled = [rows[i] | {"id": str(i)} for i in np.random.default_rng(3).permutation(len(rows))]
    write_csv(folder / "new.csv", list(shuffled[0]), [row.values() for row in shuffled])
    ended = done("predict", penguins, "new.csv", "--keep", "id", "--proba")
    assert [row["id"] for row in ended.rows] == [row["id"] for row in shuffled]
    in_order = done("predict", penguins, PENGUINS, "--proba").rows
    for row in ended.rows:  # the last digit may depend on where in a block of the product a row stands
        predictions = {name: text for name, text in row.items() if name != "id"}
        same = in_order[int(row["id"])]
        assert predictions.pop("species") == same["species"]
        assert [float(text) for text in predictions.values()] == pytest.approx(
            [float(same[name]) for name in predictions], 1e-5
        )


def test_the_header_names_the_target_and_nothing_else_is_written(penguins):
    ended = done("predict", penguins, PENGUINS)
    assert ended.lines[0] == "species"
    assert set(ended.lines[1:]) == {"Adelie", "Chinstrap", "Gentoo"}
    assert len(ended.lines) == 345
    assert ended.stdout.endswith("\n")


@pytest.mark.parametrize("labels", [("01", "02"), ("True", "False"), ("0", "1"), ("1.5", "2"), ("a,b", 'say "x"')])
def test_labels_come_back_as_the_user_wrote_them(folder, labels):
    weights = train(folder, {"train": str(yes_no_table(folder / "t.csv", labels)), "target": "label"})
    predictions = {row["label"] for row in done("predict", weights, "t.csv").rows}
    assert predictions
    assert predictions <= set(labels)


def test_kept_columns_come_first_and_as_they_stood(folder, iris):
    write_csv(
        folder / "new.csv",
        ["name", "petal_width", "petal_length", "sepal_width", "sepal_length", "id"],
        [('O"Neil, J', "0.20", "1.4", "3.5", "5.10", "007"), ("", "2.0", "5.0", "3.0", "6.0", "1e3")],
    )
    rows = list(csv.reader(done("predict", iris, "new.csv", "--keep", "id,name,sepal_length").lines))
    assert rows == [
        ["id", "name", "sepal_length", "species"],
        ["007", 'O"Neil, J', "5.10", "setosa"],
        ["1e3", "", "6.0", "virginica"],
    ]


def test_keep_all_copies_every_column_and_the_answer_gets_a_name_of_its_own(iris):
    ended = done("predict", iris, IRIS, "--keep", "all")
    assert ended.lines[0] == "sepal_length,sepal_width,petal_length,petal_width,species,predicted_species"
    assert [line.rpartition(",")[0] for line in ended.lines[1:]] == IRIS.read_text().splitlines()[1:]


def test_keeping_a_column_that_is_not_there_names_the_nearest(iris):
    ended = mlp("predict", iris, IRIS, "--keep", "specie")
    assert (ended.code, ended.stdout) == (2, "")
    assert "--keep specie: no such column. Did you mean species?" in ended.stderr


def test_probabilities_sum_to_one_and_the_largest_is_the_answer(penguins):
    rows = done("predict", penguins, PENGUINS, "--proba").rows
    assert list(rows[0]) == ["species", "p_Adelie", "p_Chinstrap", "p_Gentoo"]
    for row in rows:
        shares = {name[2:]: float(value) for name, value in row.items() if name != "species"}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=lambda name: shares[name]) == row["species"]


def test_amounts_have_no_probabilities(diabetes):
    ended = mlp("predict", diabetes, DATA / "diabetes.csv", "--proba")
    assert (ended.code, ended.stdout) == (2, "")
    assert "--proba" in ended.stderr


def test_raw_writes_the_outputs_before_they_become_amounts(diabetes):
    amounts = [float(row["progression"]) for row in done("predict", diabetes, DATA / "diabetes.csv").rows]
    raw = [float(row["raw_progression"]) for row in done("predict", diabetes, DATA / "diabetes.csv", "--raw").rows]
    with np.load(diabetes) as arrays:
        np.testing.assert_allclose(np.array(raw) * arrays["target_scale"] + arrays["target_center"], amounts, rtol=1e-5)


def test_raw_writes_one_column_per_output_of_the_network(folder):
    table = yes_no_table(folder / "t.csv", ("no", "yes"))
    weights = train(folder, {"train": str(table), "target": "label"}, model={"layers": ["auto", 4, 1]})
    raw = [float(row["raw_yes"]) for row in done("predict", weights, "t.csv", "--raw").rows]
    shares = [float(row["p_yes"]) for row in done("predict", weights, "t.csv", "--proba").rows]
    assert raw == pytest.approx(shares)


def hidden_of(rows, prefix=""):
    """The columns of `--hidden` (n_rows, n_neurons), layer by layer."""
    found = {}
    for name in (name for name in rows[0] if name.startswith(f"{prefix}h")):
        found.setdefault(name.partition("_")[0], []).append([float(row[name]) for row in rows])
    return [np.array(columns).T for columns in found.values()]


def test_hidden_adds_what_each_layer_makes_of_a_row_as_computed_by_hand(folder):
    model = {"layers": ["auto", 6, 5, "auto"], "activation": ["sigmoid", "tanh"]}
    weights = train(folder, {"train": str(DATA / "iris.csv"), "target": "species"}, model=model)
    rows = done("predict", weights, DATA / "iris.csv", "--proba", "--hidden").rows
    assert list(rows[0]) == [
        "species", "p_setosa", "p_versicolor", "p_virginica",
        *(f"h1_{i}" for i in range(1, 7)), *(f"h2_{i}" for i in range(1, 6)),
    ]  # fmt: skip
    table = pd.read_csv(DATA / "iris.csv").to_numpy()[:, :4].astype(float)
    first, second = hidden_of(rows)
    with np.load(weights) as a:
        x = (table - a["input_center"]) / a["input_scale"]
        h1 = 1 / (1 + np.exp(-(x @ a["W1"].T + a["b1"])))
        h2 = np.tanh(h1 @ a["W2"].T + a["b2"])
        z = h2 @ a["W3"].T + a["b3"]
    np.testing.assert_allclose(first, h1, atol=1e-6)
    np.testing.assert_allclose(second, h2, atol=1e-6)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    found = [[float(row[f"p_{name}"]) for name in ("setosa", "versicolor", "virginica")] for row in rows]
    np.testing.assert_allclose(found, p, atol=1e-6)


def test_hidden_layers_of_members_and_with_residuals_and_normalization(folder):
    model = {"layers": ["auto", 4, 4, "auto"], "members": 2, "residual": True, "layer_norm": True, "dropout": 0.2}
    weights = train(folder, {"train": str(DATA / "diabetes.csv"), "target": "progression"}, model=model)
    rows = done("predict", weights, DATA / "diabetes.csv", "--raw", "--hidden").rows
    outputs = []
    with np.load(weights) as a:
        for member in ("m1.", "m2."):
            first, second = hidden_of(rows, member)
            z = first @ a[f"{member}W2"].T
            y = (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
            y = y * a[f"{member}gain2"] + a[f"{member}shift2"]
            np.testing.assert_allclose(second, first + np.maximum(y, 0), atol=1e-5)
            outputs.append(second @ a[f"{member}W3"].T + a[f"{member}b3"])
    raw = [float(row["raw_progression"]) for row in rows]
    np.testing.assert_allclose(np.mean(outputs, axis=0)[:, 0], raw, atol=1e-4)


def test_hidden_columns_go_with_every_format_and_with_kept_columns(folder, iris):
    (folder / "t.csv").write_text("sepal_length,sepal_width,petal_length,petal_width,h1_1\n5,3,1,0.2,x\n")
    (row,) = done("predict", iris, "t.csv", "--hidden", "--keep", "h1_1").rows
    assert list(row)[:4] == ["h1_1", "species", "predicted_h1_1", "h1_2"]
    assert row["h1_1"] == "x"
    done("predict", iris, "t.csv", "--hidden", "-o", "out.jsonl")
    written = json.loads((folder / "out.jsonl").read_text())
    assert written["h1_8"] == pytest.approx(float(row["h1_8"]))


def test_a_model_without_hidden_layers_has_none_to_show(folder):
    weights = train(folder, {"train": str(DATA / "iris.csv"), "target": "species"}, model={"layers": ["auto", "auto"]})
    ended = mlp("predict", weights, DATA / "iris.csv", "--hidden")
    assert (ended.code, ended.stdout) == (2, "")
    assert "--hidden: the model has no hidden layers." in ended.stderr


def test_a_dash_reads_standard_input_compressed_or_not(penguins):
    from_file = done("predict", penguins, PENGUINS).stdout
    for data in (PENGUINS.read_bytes(), gzip.compress(PENGUINS.read_bytes())):
        assert done("predict", penguins, "-", stdin=data).stdout == from_file


def test_a_file_gets_what_standard_output_would(folder, penguins):
    ended = done("predict", penguins, PENGUINS, "-o", "out.csv")
    assert ended.stdout == ""
    assert ended.stderr.endswith("\nWrote out.csv: 344 rows.\n")
    assert done("predict", penguins, PENGUINS, "-o", "out.csv", "--quiet").stderr == ""
    assert (folder / "out.csv").read_text() == done("predict", penguins, PENGUINS).stdout
    assert [path.name for path in folder.iterdir()] == ["out.csv"]


def test_a_failed_prediction_leaves_the_old_file_as_it_was(folder, iris):
    (folder / "out.csv").write_text("old")
    (folder / "new.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n1,2,x,4\n")
    ended = mlp("predict", iris, "new.csv", "-o", "out.csv")
    assert ended.code == 2
    assert "new.csv:3: column petal_length: 'x' is not a number" in ended.stderr
    assert (folder / "out.csv").read_text() == "old"
    assert len(list(folder.iterdir())) == 2


def test_columns_are_matched_by_name_and_others_are_ignored(folder, penguins):
    rows = read(PENGUINS)
    names = ["unknown", *reversed(rows[0])]
    names.remove("species")
    write_csv(folder / "new.csv", names, [[row.get(name, "?!") for name in names] for row in rows])
    assert done("predict", penguins, "new.csv").stdout == done("predict", penguins, PENGUINS).stdout


def test_a_missing_column_is_named_with_what_the_model_needs(folder, penguins):
    (folder / "new.csv").write_text("id,island,bill_length_mm,bill_depth_mm,body_mass_g,sex\n1,Dream,1,1,1,male\n")
    ended = mlp("predict", penguins, "new.csv")
    assert (ended.code, ended.stdout) == (2, "")
    assert "new.csv: column flipper_length_mm is missing." in ended.stderr
    assert "The model needs: island, bill_length_mm, " in ended.stderr


def test_missing_and_unseen_cells_are_counted_in_one_line_on_standard_error(folder, penguins):
    (folder / "new.csv").write_text(
        "island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex\n"
        "Mars,39.1,18.7,181,3750,male\nDream,NA,18.7,181,,\nDream,39.1,18.7,181,3750,unknown\n"
    )
    ended = done("predict", penguins, "new.csv")
    assert len(ended.rows) == 3
    assert ended.stderr == (
        "note  3 missing cells (bill_length_mm 1, body_mass_g 1, sex 1), "
        "2 cells unseen or rare in training (island 1, sex 1)\n"
    )
    assert done("predict", penguins, "new.csv", "--quiet").stderr == ""


def test_nothing_odd_is_nothing_to_say(iris):
    assert done("predict", iris, IRIS).stderr == ""


def test_a_header_without_rows_gives_a_header(folder, iris):
    (folder / "new.csv").write_text(IRIS.read_text().splitlines()[0] + "\n")
    assert done("predict", iris, "new.csv", "--proba").stdout == "species,p_setosa,p_versicolor,p_virginica\n"


def small_chunks(monkeypatch, size):
    """Have CSV read and worked on in batches of so many bytes."""
    monkeypatch.setattr("mlpcli.data.reading.csv.encoding.BLOCK_SIZE", size)
    monkeypatch.setattr("mlpcli.data.reading.csv.records.BATCH_SIZE", size)


@pytest.mark.parametrize("chunk_size", [60, 1000, 12_000])
def test_the_size_of_the_chunks_does_not_show(penguins, monkeypatch, chunk_size):
    whole = done("predict", penguins, PENGUINS, "--keep", "all", "--proba")
    small_chunks(monkeypatch, chunk_size)
    chunked = done("predict", penguins, PENGUINS, "--keep", "all", "--proba")
    assert chunked.stdout == whole.stdout
    assert chunked.stderr == whole.stderr


def test_a_bad_row_is_an_error_with_its_line_wherever_it_stands(folder, iris, monkeypatch):
    lines = IRIS.read_text().splitlines()
    small_chunks(monkeypatch, 100)
    for bad in ("1,2,3", "1,2,3,4,5,6", ""):
        (folder / "new.csv").write_text("\n".join([*lines[:120], bad, *lines[120:]]) + "\n")
        ended = mlp("predict", iris, "new.csv")
        assert ended.code == 2
        assert "new.csv:121: " in ended.stderr


def test_ten_lines_of_numpy_give_what_the_program_gives(iris):
    X = np.loadtxt(IRIS, delimiter=",", skiprows=1, usecols=range(4))
    with np.load(iris) as model:
        a = (X - model["input_center"]) / model["input_scale"]
        a = 1 / (1 + np.exp(-(a @ model["W1"].T + model["b1"])))
        z = a @ model["W2"].T + model["b2"]
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = done("predict", iris, IRIS, "--proba").rows
    names = ["setosa", "versicolor", "virginica"]
    shares = np.array([[float(row[f"p_{name}"]) for name in names] for row in rows])
    np.testing.assert_allclose(shares, p, rtol=2e-5)
    assert [row["species"] for row in rows] == [names[i] for i in p.argmax(axis=1)]


def test_several_amounts_are_several_columns(folder):
    table = write_csv(folder / "t.csv", ["x", "u", "v"], [(i / 9, i + 0.5, -3 * i) for i in range(40)])
    weights = train(folder, {"train": str(table), "target": ["u", "v"]})
    ended = done("predict", weights, "t.csv")
    assert ended.lines[0] == "u,v"
    assert len(ended.rows) == 40


def test_several_yes_no_columns_answer_in_their_own_words(folder):
    rows = [(i % 10 / 10, ("no", "yes")[i % 2], ("F", "T")[i % 3 == 0]) for i in range(60)]
    table = write_csv(folder / "t.csv", ["x", "late", "full"], rows)
    weights = train(folder, {"train": str(table), "target": ["late", "full"]})
    ended = done("predict", weights, "t.csv", "--proba")
    assert ended.lines[0] == "late,full,p_late,p_full"
    for row in ended.rows:
        assert row["late"] == ("yes" if float(row["p_late"]) > 0.5 else "no")
        assert row["full"] == ("T" if float(row["p_full"]) > 0.5 else "F")


def test_a_given_delimiter_and_encoding_are_used(folder, penguins):
    text = PENGUINS.read_text().replace(",", ";")
    (folder / "new.csv").write_bytes(text.encode("utf-16"))
    expected = done("predict", penguins, PENGUINS).stdout
    assert done("predict", penguins, "new.csv", "--delimiter", ";", "--encoding", "utf-16").stdout == expected
    assert done("predict", penguins, "new.csv").stdout == expected


def test_a_number_too_large_to_compute_with_names_its_line(folder, iris):
    (folder / "new.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n1,2,1e300,4\n")
    ended = mlp("predict", iris, "new.csv")
    assert ended.code == 2
    assert "new.csv:3: " in ended.stderr


STAMPS = ["2024-01-01 00:00:00", "2024-01-01 23:59:59.9", "2024-01-01 23:59:59.5"]


def kept_table(folder, n=90):
    """A frame of every type that can be kept, nulls in later rows only, and a model of its column x."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    feather = pytest.importorskip("pyarrow.feather")
    times = pd.Series(pd.to_datetime(STAMPS * (n // 3), format="ISO8601")).astype("datetime64[ns]")
    columns = {
        "x": pa.array(np.linspace(-1, 1, n)),
        "id": pa.array([*range(n - 1), None], pa.int64()),
        "small": pa.array([1, None] * (n // 2), pa.int8()),
        "long": pa.array([1234567890123456789 + i for i in range(n)]),
        "flag": pa.array([True, False, None] * (n // 3)),
        "single": pa.array([0.1, None, 2.0] * (n // 3), pa.float32()),
        "price": pa.array([Decimal("0.10"), Decimal("12345678901234567890.12"), None] * (n // 3), pa.decimal128(38, 2)),
        "time": pa.array(times),
        "zoned": pa.array(times.dt.tz_localize("Europe/Berlin")),
        "day": pa.array([date(2024, 1, 1), None, date(2024, 1, 3)] * (n // 3)),
        "kind": pa.array(["a", None, " b"] * (n // 3)).dictionary_encode(),
        "text": pa.array(["1", "x", None] * (n // 3)),
    }
    table = pa.table(columns)
    pq.write_table(table, "in.parquet", row_group_size=31)
    feather.write_feather(table, "in.feather", chunksize=31)
    rows = pd.DataFrame({"x": np.linspace(-1, 1, n), "y": ["u", "v"] * (n // 2)})
    mlpcli.train({"data": {"target": "y"}, "training": {"epochs": 1}}, rows).save("m.npz")
    return table


def test_kept_columns_of_typed_tables_keep_their_types_and_values(folder):
    feather, pq = pytest.importorskip("pyarrow.feather"), pytest.importorskip("pyarrow.parquet")
    table = kept_table(folder)
    for source, out in product(("in.parquet", "in.feather"), ("out.parquet", "out.feather")):
        assert (
            done("predict", "m.npz", source, "--keep", "all", "-o", out).stderr
            == f"Wrote {out}: {table.num_rows} rows.\n"
        )
        found = feather.read_table(out) if out.endswith("feather") else pq.read_table(out)
        for name in table.column_names:
            is_decoded = out.endswith("feather") and name == "kind"
            assert is_decoded or found[name].type == table[name].type, name
            assert found[name].to_pylist() == table[name].to_pylist(), name


def test_kept_columns_as_texts_have_all_their_digits_and_one_form(folder):
    pq = pytest.importorskip("pyarrow.parquet")
    kept_table(folder)
    done("predict", "m.npz", "in.parquet", "--keep", "all", "-o", "out.csv")
    rows = read(folder / "out.csv")
    assert [row["time"] for row in rows[:2]] == ["2024-01-01T00:00:00.000000000", "2024-01-01T23:59:59.900000000"]
    assert rows[1]["zoned"] == "2024-01-01T22:59:59.900000000Z"
    assert [row["price"] for row in rows[:3]] == ["0.10", "12345678901234567890.12", ""]
    assert [rows[0][name] for name in ("id", "long", "flag", "single", "day", "text")] == [
        *("0", "1234567890123456789", "True", "0.1", "2024-01-01", "1")
    ]
    assert [rows[-1][name] for name in ("id", "flag")] == ["", ""]
    done("predict", "m.npz", "in.parquet", "--keep", "all", "-o", "out.jsonl")
    row = json.loads(Path("out.jsonl").read_text().splitlines()[0])
    assert (row["id"], row["long"], row["flag"], row["single"], row["price"]) == (
        0,
        1234567890123456789,
        True,
        0.1,
        0.1,
    )
    done("predict", "m.npz", "out.jsonl", "--keep", "id,long,flag,price,text", "-o", "again.parquet")
    again = pq.read_table("again.parquet")
    assert list(map(str, again.schema.types[:5])) == ["int64", "int64", "bool", "double", "string"]
    assert again["long"].to_pylist()[0] == 1234567890123456789


def test_files_whose_kept_columns_differ_in_type_end_with_one_message(folder):
    pq = pytest.importorskip("pyarrow.parquet")
    table = kept_table(folder)
    pq.write_table(table, "part1.parquet")
    place = table.column_names.index("id")
    pq.write_table(table.set_column(place, "id", table["id"].cast("double")), "part2.parquet")
    ended = mlp("predict", "m.npz", "part*.parquet", "--keep", "id", "-o", "out.parquet")
    assert ended.code == 2
    assert "column id is of type int64 in the first rows and double in later ones" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_json_is_an_object_for_each_row_on_standard_output(folder, iris):
    table = DATA / "iris.csv"
    plain = done("predict", iris, table, "--proba", "--keep", "sepal_length").rows
    objects = [
        json.loads(line) for line in done("predict", iris, table, "--proba", "--keep", "sepal_length", "--json").lines
    ]
    assert [{key: str(value) for key, value in one.items()} for one in objects] == plain
    assert all(isinstance(one["p_setosa"], float) for one in objects)
    ended = mlp("predict", iris, table, "--json", "-o", "out.csv")
    assert (ended.code, list(folder.iterdir())) == (2, [])
    assert ended.stderr == "--json: is for standard output. A file is written by its ending: -o predicted.jsonl\n"
