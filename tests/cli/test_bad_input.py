"""What bad input gets: exit code 2, one to three lines that say what, where and what to do, and no file touched."""

import gzip
import io
import json
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest

from mlpcli.storage import atomic
from tests.program import DATA, QUICK, mlp, tree, write_config

IRIS = (DATA / "iris.csv").read_text()
HEADER, *ROWS = IRIS.splitlines()
VERBS = ("check", "train")


def refused(folder, *arguments, stdin=b""):
    """Standard error of a run that must be refused."""
    before = tree(folder)
    ended = mlp(*arguments, stdin=stdin)
    assert ended.code == 2, ended
    assert ended.stdout == ""
    assert 1 <= ended.stderr.count("\n") <= 3, ended.stderr
    assert ended.stderr.endswith("\n")
    assert "Traceback" not in ended.stderr
    assert tree(folder) == before
    return ended.stderr


CONFIGS = {
    "empty": ("", "c.yaml: an empty config."),
    "only comments": ("# nothing\n", "c.yaml: an empty config."),
    "not a mapping": ("- data\n- model\n", "c.yaml: not a config: must be a mapping"),
    "a text": ("data.csv\n", "c.yaml: not a config: must be a mapping"),
    "broken YAML": ("data: {train: t.csv\ntask: [\n", "c.yaml:"),
    "unknown key": (
        "data: {train: t.csv, target: species}\ntraining:\n  optimizer:\n    learning_rat: 1\n",
        "c.yaml:4: training.optimizer.learning_rat: unknown key. Did you mean learning_rate?",
    ),
    "doubled key": ("data: {train: t.csv, target: species}\ntask: auto\ntask: auto\n", "c.yaml:3: task"),
    "missing key": ("data:\n  train: t.csv\n", "c.yaml:1: data.target"),
    "missing section": ("task: auto\n", "c.yaml"),
    "wrong type": (
        "data: {train: t.csv, target: species}\ntraining:\n  epochs: many\n",
        "c.yaml:3: training.epochs: must be an integer",
    ),
    "true for a number": (
        "data: {train: t.csv, target: species}\ntraining:\n  optimizer: {learning_rate: true}\n",
        "c.yaml:3: training.optimizer.learning_rate: must be a number",
    ),
    "impossible value": (
        "data: {train: t.csv, target: species}\ntraining:\n  optimizer: {name: adam, learning_rate: -1}\n",
        "c.yaml:3: training.optimizer.learning_rate: must be",
    ),
    "infinite value": ("data: {train: t.csv, target: species}\ntraining:\n  gradient_clip: .inf\n", "c.yaml:3: "),
    "unknown part": (
        "data: {train: t.csv, target: species}\ntraining:\n  optimizer: sgdd\n",
        "Did you mean sgd?",
    ),
    "not UTF-8": (b"data: {train: t.csv, target: esp\xe9ce}\n", "c.yaml:1: not valid UTF-8"),
    "binary": (b"\x00\x01\x02", "c.yaml: a binary file, not a config."),
    "several documents": ("data: {train: t.csv, target: species}\n---\ntask: auto\n", "c.yaml:"),
    "layers that do not fit the inputs": (
        "data: {train: t.csv, target: species}\nmodel:\n  layers: [6, 3]\n",
        "c.yaml:3: model.layers: the data gives 4 inputs, layers[0] says 6",
    ),
    "layers that do not fit the outputs": (
        "data: {train: t.csv, target: species}\nmodel:\n  layers: [auto, 8, 2]\n",
        "c.yaml:3: model.layers: 3 classes need 3 outputs, the last size is 2. Write [auto, 8, auto].",
    ),
    "an auto in the middle": (
        "data: {train: t.csv, target: species}\nmodel:\n  layers: [auto, auto, auto]\n",
        "c.yaml:3: model.layers: only the first and the last size can be auto",
    ),
    "too few layers": ("data: {train: t.csv, target: species}\nmodel:\n  layers: [auto]\n", "c.yaml:3: model.layers: "),
    "a loss of another task": (
        "data: {train: t.csv, target: species}\ntraining: {loss: poisson}\n",
        "training.loss: poisson does not go with classification.",
    ),
    "an unknown metric": (
        "data: {train: t.csv, target: species}\ntraining:\n  early_stopping: {metric: acuracy}\n",
        "c.yaml:3: training.early_stopping.metric: unknown metric 'acuracy'. Did you mean accuracy?",
    ),
    "a gate on an unknown metric": (
        "data: {train: t.csv, target: species}\nexpect:\n  max: {logloss: 1}\n",
        "unknown metric 'logloss'. Did you mean log_loss?",
    ),
    "a target that is not there": (
        "data:\n  train: t.csv\n  target: specie\n",
        "c.yaml:3: data.target: no column 'specie' in t.csv. Did you mean species?",
    ),
    "a dropped column that is not there": (
        "data:\n  train: t.csv\n  target: species\n  drop: [petal]\n",
        "c.yaml:4: data.drop: no column 'petal' in t.csv.",
    ),
    "a feature that is the target": (
        "data:\n  train: t.csv\n  target: species\n  features: [species, petal_width]\n",
        "c.yaml:4: data.features: species is also a target",
    ),
    "a weight that is not there": (
        "data:\n  train: t.csv\n  target: species\n  weight: w\n",
        "c.yaml:4: data.weight: ",
    ),
    "a fold that is not there": (
        "data:\n  train: t.csv\n  target: species\n  validation: {column: petal_width, equals: 99}\n",
        "no row of t.csv has petal_width equal to 99",
    ),
    "class weights of an unknown class": (
        "data: {train: t.csv, target: species}\ntraining:\n  class_weights: {rose: 2}\n",
        "c.yaml:3: training.class_weights: no class 'rose'. There is: setosa, versicolor, virginica.",
    ),
    "no column left": (
        "data: {train: t.csv, target: species, drop: [sepal_length, sepal_width, petal_length, petal_width]}\n",
        "no input column is left in t.csv",
    ),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", CONFIGS)
def test_a_bad_config_is_refused(folder, verb, case):
    text, message = CONFIGS[case]
    (folder / "t.csv").write_text(IRIS)
    (folder / "c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message in refused(folder, verb, "c.yaml")


@pytest.mark.parametrize("verb", VERBS)
def test_a_config_that_is_not_there_is_refused(folder, verb):
    (folder / "penguins.yaml").write_text("")
    assert refused(folder, verb, "penguin.yaml") == "penguin.yaml: no such file. Did you mean penguins.yaml?\n"
    assert "a folder, not a config" in refused(folder, verb, ".")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epoch=3", "--set training.epoch=3: unknown key. Did you mean epochs?"),
        ("training.epochs=x", "--set training.epochs=x: must be an integer"),
        ("training.epochs", "--set training.epochs"),
        ("=3", "--set =3"),
        ("training.optimizer={name: adam", "--set training.optimizer={name: adam"),
    ],
)
def test_a_bad_set_is_refused(folder, setting, message):
    (folder / "t.csv").write_text(IRIS)
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species"})
    assert message in refused(folder, "train", "c.yaml", "--set", setting)


def without(text, column):
    index = HEADER.split(",").index(column)
    return "\n".join(",".join(c for i, c in enumerate(line.split(",")) if i != index) for line in text.splitlines())


def in_column(column, value, rows=slice(None)):
    """The iris table with one value in (some rows of) a column."""
    index, lines = HEADER.split(",").index(column), [row.split(",") for row in ROWS]
    for line in lines[rows]:
        line[index] = value
    return "\n".join([HEADER, *map(",".join, lines)]) + "\n"


TABLES = {
    "empty": ("", "t.csv: "),
    "header only": (HEADER + "\n", "t.csv: "),
    "a short row": (IRIS.replace("4.9,3.0,1.4,0.2,setosa", "4.9,3.0,1.4", 1), "t.csv:3: 3 fields, expected 5."),
    "a long row": (IRIS.replace("4.9,3.0", "4.9,3.0,9", 1), "t.csv:3: 6 fields, expected 5."),
    "a blank line": (IRIS.replace("\n4.9", "\n\n4.9", 1), "t.csv:3: "),
    "an open quote": (IRIS.replace("4.9,3.0", '4.9,"3.0', 1), "t.csv:3: "),
    "NUL bytes": (IRIS.replace("4.9,3.0", "4.9,3\0.0", 1), "t.csv:3: "),
    "a doubled column name": (IRIS.replace("sepal_width", "sepal_length", 1), "t.csv:1: "),
    "no target": (without(IRIS, "species"), "data.target: no column 'species' in t.csv"),
    "a constant target": (in_column("species", "setosa"), "t.csv: the target species has one value only ('setosa')"),
    "a target all missing": (in_column("species", "NA"), "t.csv: the target species is missing in every row."),
    "one row": (f"{HEADER}\n{ROWS[0]}\n", "t.csv: "),
    "an infinite value": (in_column("sepal_width", "inf", slice(2, 3)), "t.csv:4: "),
    "a number too large": (in_column("sepal_width", "1e999", slice(2, 3)), "t.csv:4: "),
    "a column all empty": (in_column("sepal_width", ""), "t.csv: column sepal_width is empty"),
    "an Excel file": (b"PK\x03\x04" + b"\0" * 60, "t.csv: "),
    "a Parquet file": (b"PAR1" + b"\0" * 60 + b"PAR1", "t.csv: "),
    "a truncated gzip": (gzip.compress(IRIS.encode())[:-20], "t.csv: "),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_is_refused(folder, case):
    text, message = TABLES[case]
    (folder / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species"})
    for verb in VERBS:
        assert message in refused(folder, verb, "c.yaml")


@pytest.mark.parametrize("case", ["empty", "header only", "a short row", "a doubled column name", "NUL bytes"])
def test_a_bad_table_is_refused_by_init_too(folder, case):
    (folder / "t.csv").write_text(TABLES[case][0])
    assert TABLES[case][1] in refused(folder, "init", "t.csv", "-o", "c.yaml")


@pytest.mark.parametrize("verb", ["init", "train", "predict", "eval"])
def test_a_table_that_is_not_there_names_the_nearest(folder, iris, verb):
    (folder / "iris.csv").write_text(IRIS)
    write_config(folder / "c.yaml", {"train": "iri.csv", "target": "species"})
    arguments = {"init": ["iri.csv"], "train": ["c.yaml"]}.get(verb, [iris, "iri.csv"])
    assert "iri.csv: no such file. Did you mean iris.csv?" in refused(folder, verb, *arguments)


@pytest.mark.parametrize("verb", ["init", "predict", "eval"])
def test_a_folder_in_the_place_of_a_table_is_refused(folder, iris, verb):
    (folder / "rows").mkdir()
    assert "rows: " in refused(folder, verb, *([] if verb == "init" else [iris]), "rows")


def test_a_wrong_delimiter_is_named(folder):
    (folder / "t.csv").write_text(IRIS)
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species", "delimiter": ";"})
    assert "t.csv" in refused(folder, "train", "c.yaml")
    assert "t.csv" in refused(folder, "init", "t.csv", "--delimiter", ";")


def test_undecodable_bytes_are_named_with_their_line(folder):
    (folder / "t.csv").write_bytes(IRIS.encode().replace(b"4.9", b"4.\xff9", 1))
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species", "encoding": "utf-8"})
    assert "t.csv:3: " in refused(folder, "train", "c.yaml")
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species", "encoding": "klingon"})
    assert "klingon" in refused(folder, "train", "c.yaml")


def test_a_text_in_a_numeric_target_is_named_with_its_line(folder):
    lines = (DATA / "diabetes.csv").read_text().splitlines()
    lines[6] = lines[6].rpartition(",")[0] + ",high"
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    for task in ("auto", "regression"):
        write_config(folder / "c.yaml", {"train": "t.csv", "target": "progression"}, task=task)
        message = refused(folder, "train", "c.yaml")
        assert "t.csv:7: " in message
        assert "'high'" in message


def test_a_class_in_validation_that_training_never_saw_is_named_with_its_line(folder):
    (folder / "t.csv").write_text(IRIS)
    (folder / "v.csv").write_text(f"{HEADER}\n{ROWS[0]}\n1,2,3,4,rose\n")
    for key in ("validation", "test"):
        write_config(folder / "c.yaml", {"train": "t.csv", "target": "species", key: "v.csv"})
        assert ("v.csv:3: species is 'rose', a class that did not occur in training") in refused(
            folder, "train", "c.yaml"
        )
    (folder / "v.csv").write_text("sepal_length,species\n1,setosa\n")
    assert "v.csv: " in refused(folder, "train", "c.yaml")


@pytest.mark.parametrize(
    ("weight", "what"), [("-1", "is -1"), ("", "is missing"), ("heavy", "'heavy'"), ("inf", "inf")]
)
def test_a_weight_that_weighs_nothing_is_named_with_its_line(folder, weight, what):
    rows = [f"{row},{weight if number == 3 else 1}" for number, row in enumerate(ROWS)]
    (folder / "t.csv").write_text("\n".join([f"{HEADER},w", *rows]) + "\n")
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species", "weight": "w"})
    message = refused(folder, "train", "c.yaml")
    assert "t.csv:5: " in message
    assert what in message


def test_more_columns_than_rows_is_no_error_but_is_said(folder):
    names = [f"x{k}" for k in range(40)]
    rows = [",".join([*(str((i * k) % 7) for k in range(1, 41)), "ab"[i % 2]]) for i in range(10)]
    (folder / "t.csv").write_text("\n".join([",".join([*names, "y"]), *rows]) + "\n")
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "y"})
    assert mlp("train", "c.yaml").code == 0
    assert "expect overfitting" in mlp("check", "c.yaml").stderr


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def changed(weights, change):
    """The bytes of a model file with its header (a dict) and arrays changed."""
    with np.load(weights) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    return npz(header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", bytes(100_000_000))
    return buffer.getvalue()


def zip_of_text():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return buffer.getvalue()


MODELS = {
    "empty": (lambda good: b"", "w.npz: is empty."),
    "a text": (lambda good: b"hello, world", "w.npz: not a model of mlp (not an npz file)"),
    "truncated": (lambda good: good.read_bytes()[:-100], "w.npz: truncated or damaged"),
    "cut in half": (lambda good: good.read_bytes()[: good.stat().st_size // 2], "w.npz: truncated or damaged"),
    "a zip of something else": (lambda good: zip_of_text(), "w.npz: "),
    "an npz of something else": (lambda good: npz(x=np.arange(3)), "w.npz: not a model of mlp (no header)"),
    "a pickle": (lambda good: pickle.dumps({"W1": 1}), "w.npz: is a pickle, which mlp never loads"),
    "a pickle inside": (
        lambda good: changed(good, lambda header, arrays: arrays.update(W1=np.array([{}], dtype=object))),
        "w.npz: holds a pickle (W1), which mlp never loads",
    ),
    "a wrong shape": (
        lambda good: changed(good, lambda header, arrays: arrays.update(W1=arrays["W1"].T.copy())),
        "w.npz: its contents are inconsistent: W1 is float32 (4, 8), expected float32 (8, 4)",
    ),
    "a missing layer": (lambda good: changed(good, lambda header, arrays: arrays.pop("W2")), "w.npz: its contents are"),
    "a NaN": (
        lambda good: changed(good, lambda header, arrays: arrays["W2"].__setitem__((0, 0), np.nan)),
        "w.npz: W2 holds numbers that are not finite",
    ),
    "a newer format": (
        lambda good: changed(good, lambda header, arrays: header.update(format=99)),
        "w.npz: format 99 is newer than this mlp reads (1). Upgrade with: pip install -U mlp-train",
    ),
    "a zip bomb": (lambda good: bomb(), "w.npz: refused: "),
    "a checkpoint": (lambda good: (good.parent / "checkpoint.npz").read_bytes(), "w.npz: is a checkpoint, not a model"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_a_bad_model_file_is_refused(folder, iris, case):
    make, message = MODELS[case]
    (folder / "w.npz").write_bytes(make(iris))
    for arguments in (
        ["inspect", "w.npz"],
        ["predict", "w.npz", DATA / "iris.csv"],
        ["eval", "w.npz", DATA / "iris.csv"],
    ):
        assert message in refused(folder, *arguments)


def test_a_model_file_that_is_not_there_or_is_a_folder_is_refused(folder):
    (folder / "run").mkdir()
    assert "w.npz: no such file" in refused(folder, "inspect", "w.npz")
    assert "run: is a folder. Train one with: mlp train CONFIG" in refused(folder, "inspect", "run")
    (folder / "run" / "weights.npz").touch()
    assert "run: is a folder. Name a file in it: run/weights.npz" in refused(folder, "inspect", "run")


def test_an_output_that_cannot_be_a_folder_is_refused(folder):
    (folder / "t.csv").write_text(IRIS)
    (folder / "runs").write_text("a file")
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species"})
    assert "runs" in refused(folder, "train", "c.yaml")
    assert "t.csv" in refused(folder, "train", "c.yaml", "--output", "t.csv")


@pytest.mark.parametrize("output", ["", ".", "run.partial"])
def test_an_output_that_no_run_can_have_is_refused(folder, output):
    (folder / "t.csv").write_text(IRIS)
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "species"})
    refused(folder, "train", "c.yaml", "--output", output)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_that_is_not_writable_is_refused(folder, iris):
    (folder / "closed").mkdir()
    write_config(folder / "c.yaml", {"train": str(DATA / "iris.csv"), "target": "species"})
    (folder / "closed").chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert "no permission" in refused(folder, "train", "c.yaml", "--output", "closed/run")
        assert "no permission" in refused(folder, "predict", iris, DATA / "iris.csv", "-o", "closed/out.csv")
        assert "no permission" in refused(folder, "init", DATA / "iris.csv", "-o", "closed/c.yaml")
    finally:
        (folder / "closed").chmod(0o755)


def test_an_output_in_a_folder_that_is_not_there_is_refused(folder, iris):
    assert "mkdir -p" in refused(folder, "predict", iris, DATA / "iris.csv", "-o", "none/out.csv")
    assert "mkdir -p" in refused(folder, "init", DATA / "iris.csv", "-o", "none/c.yaml")


def test_a_full_disk_leaves_nothing_half_written_under_the_final_name(folder, iris, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    write_config(folder / "c.yaml", {"train": str(DATA / "iris.csv"), "target": "species"}, QUICK)
    (folder / "out.csv").write_text("old")
    monkeypatch.setattr(atomic.os, "fsync", full)
    assert "the disk is full" in refused(folder, "predict", iris, DATA / "iris.csv", "-o", "out.csv")
    assert "the disk is full" in refused(folder, "init", DATA / "iris.csv", "-o", "new.yaml")
    ended = mlp("train", "c.yaml", "-q")
    assert ended.code == 2
    assert "the disk is full" in ended.stderr
    assert not (folder / "runs" / "c").exists()


def test_names_and_cells_of_megabytes_do_not_make_a_message_of_megabytes(folder):
    (folder / "t.csv").write_text("a" * 3_000_000 + ",b\n" + "1,2\n" * 20)
    write_config(folder / "c.yaml", {"train": "t.csv", "target": "y"})
    message = refused(folder, "check", "c.yaml")
    assert "no column 'y' in t.csv. There is: aaa" in message
    assert len(message) < 300
    (folder / "t.csv").write_text("b,y\n" + "1,2\n" * 20 + "2," + "x" * 3_000_000 + "\n")
    message = refused(folder, "train", "c.yaml", "--set", "task=regression")
    assert "t.csv:22: " in message
    assert len(message) < 600
