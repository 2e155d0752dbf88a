"""The sample tables are what data/README.md says, and what their sources hold."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
README = (DATA / "README.md").read_text("utf-8")
TABLE_ROW = re.compile(r"^\| `(\w+\.csv)` \| (\d+) \| (\d+) \| `(\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
DESCRIBED = {name: row for name, *row in TABLE_ROW.findall(README)}
FILES = sorted(path.name for path in DATA.glob("*.csv"))
every_file = pytest.mark.parametrize("name", FILES)


def read_rows(name: str) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader((DATA / name).read_text("utf-8").splitlines())
    return header, rows


def section(name: str) -> str:
    return README.partition(f"## {name}\n")[2].partition("\n## ")[0]


def test_the_readme_describes_every_file_and_no_other():
    assert FILES
    assert sorted(DESCRIBED) == FILES


@every_file
def test_a_file_has_the_rows_columns_and_target_that_the_readme_says(name):
    n_rows, n_columns, target, task, _ = DESCRIBED[name]
    header, rows = read_rows(name)
    values = {row[header.index(target)] for row in rows}
    assert (len(rows), len(header)) == (int(n_rows), int(n_columns))
    assert {len(row) for row in rows} == {len(header)}
    if task == "regression":
        assert all(np.isfinite(float(value)) for value in values)
    else:
        assert task == f"{len(values)} classes"


@every_file
def test_a_section_names_columns_target_source_licence_and_citation(name):
    header, _ = read_rows(name)
    target = DESCRIBED[name][2]
    items = dict(re.findall(r"^- (\w+): (.+(?:\n  .+)*)", section(name), re.MULTILINE))
    assert list(items) == ["Columns", "Target", "Source", "Licence", "Citation"]
    assert items["Target"].startswith(f"`{target}`")
    assert "https://" in items["Citation"]
    named = re.findall(r"`([^`]+)`", items["Columns"])
    if name == "breast_cancer.csv":  # ten properties, and three patterns for each
        properties, patterns = named[:-3], named[-3:]
        named = [pattern.replace("*", each) for pattern in patterns for each in properties]
    if name == "digits.csv":  # the first two and the last
        named = [*named[:2], *header[2:63], named[-1]]
    assert named == [column for column in header if column != target]


@every_file
def test_a_file_is_plain_csv(name):
    content = (DATA / name).read_bytes()
    header, rows = read_rows(name)
    assert content.endswith(b"\n")
    assert not re.search(rb'\r|"|\n\n|^\xef\xbb\xbf| ,|, ', content)
    assert content.decode("ascii").count("\n") == len(rows) + 1
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", column) for column in header)
    assert len(set(header)) == len(header)


@every_file
def test_a_number_is_written_without_the_noise_of_floating_point(name):
    _, rows = read_rows(name)
    numbers = [cell for row in rows for cell in row if re.fullmatch(r"[-+.\deE]+", cell)]
    assert numbers
    assert max(len(re.sub(r"\D", "", number).lstrip("0")) for number in numbers) <= 8


@pytest.mark.parametrize("name", [name for name in FILES if name != "penguins.csv"])
def test_a_file_equals_the_table_of_scikit_learn(name):
    datasets = pytest.importorskip("sklearn.datasets")
    loaders: dict[str, Callable[[], object]] = {
        "iris.csv": datasets.load_iris,
        "wine.csv": datasets.load_wine,
        "breast_cancer.csv": datasets.load_breast_cancer,
        "digits.csv": datasets.load_digits,
        "diabetes.csv": lambda: datasets.load_diabetes(scaled=False),
    }
    source = loaders[name]()
    header, rows = read_rows(name)
    assert header[-1] == DESCRIBED[name][2]
    X = np.array([row[:-1] for row in rows], dtype=np.float64)
    np.testing.assert_array_equal(X, source.data)
    targets = source.target_names[source.target] if "target_names" in source else source.target
    if DESCRIBED[name][3] == "regression":
        assert [float(row[-1]) for row in rows] == targets.tolist()
    else:
        assert [row[-1] for row in rows] == targets.astype(str).tolist()


def test_the_penguins_equal_the_table_of_their_package():
    package = pytest.importorskip("palmerpenguins")
    source = Path(package.__file__).parent / "data" / "penguins.csv"
    assert (DATA / "penguins.csv").read_text("utf-8") == source.read_text("utf-8")


def test_the_penguins_have_the_missing_cells_that_the_readme_says():
    header, rows = read_rows("penguins.csv")
    n_missing = {column: sum(row[index] == "NA" for row in rows) for index, column in enumerate(header)}
    measured = dict.fromkeys(["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"], 2)
    assert {column: n for column, n in n_missing.items() if n} == {**measured, "sex": 11}
