"""`mlp split`: every row in one file, or left out for a reason; the files as the table is."""

import gzip
import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mlpcli.workflows import split as split_workflow
from tests.program import DATA, done, mlp, tree, write_csv

PENGUINS = DATA / "penguins.csv"
FILES = ("train", "validation", "test")


def lines(path):
    return path.read_text().splitlines()


def visits(folder, n=200, seed=0):
    rng = np.random.default_rng(seed)
    rows = [(f"p{i // 5}", f"2024-{1 + i // 20:02d}-{1 + i % 20:02d}", i, "ab"[i % 4 == 0]) for i in range(n)]
    return write_csv(folder / "v.csv", ["patient", "day", "x", "y"], [rows[i] for i in rng.permutation(n)])


def test_every_line_of_the_table_stands_in_one_file_as_it_was(folder):
    document = done("split", PENGUINS, "-o", "parts", "--json").document
    header, *rows = lines(PENGUINS)
    found = [lines(folder / "parts" / f"{name}.csv") for name in FILES]
    assert all(file[0] == header for file in found)
    assert sorted(row for file in found for row in file[1:]) == sorted(rows)
    assert [len(file) - 1 for file in found] == [document["files"][name]["n_rows"] for name in FILES] == [206, 69, 69]
    for file in found:  # in the order of the table
        places = [rows.index(row) for row in file[1:]]
        assert places == sorted(places)


def test_the_same_seed_gives_the_same_bytes_and_fractions_of_0_no_file(folder):
    for name in ("a", "b"):
        done("split", PENGUINS, "-o", name)
    done("split", PENGUINS, "-o", "c", "--seed", 1)
    assert tree(folder / "a") == tree(folder / "b") != tree(folder / "c")
    done("split", PENGUINS, "-o", "d", "--test", 0)
    assert sorted(tree(folder / "d")) == ["train.csv", "validation.csv"]


def test_values_are_spread_evenly_and_groups_stay_together(folder):
    done("split", PENGUINS, "-o", "s", "--stratify", "species")
    shares = [pd.read_csv(folder / "s" / f"{name}.csv")["species"].value_counts(normalize=True) for name in FILES]
    assert max(abs(one - shares[0]).max() for one in shares) < 0.02
    visits(folder)
    done("split", "v.csv", "-o", "g", "--group", "patient", "--stratify", "y")
    sets = [set(pd.read_csv(folder / "g" / f"{name}.csv")["patient"]) for name in FILES]
    assert sum(map(len, sets)) == 40
    write_csv(folder / "c.csv", ["x", "y"], [(i % 30, i % 3) for i in range(300)])
    done("split", "c.csv", "-o", "c", "--copies")
    sets = [set(map(tuple, pd.read_csv(folder / "c" / f"{name}.csv").to_numpy().tolist())) for name in FILES]
    assert sum(map(len, sets)) == 30


@pytest.mark.parametrize("more", [[], ["--gap", "15"], ["--group", "patient"]])
def test_later_rows_are_validation_and_the_latest_test(folder, more):
    visits(folder)
    document = done("split", "v.csv", "-o", "t", "--time", "day", *more, "--json").document
    tables = [pd.read_csv(folder / "t" / f"{name}.csv", parse_dates=["day"]) for name in FILES]
    for before, after in pairwise(tables):
        assert (after["day"].min() - before["day"].max()).days >= (15 if "--gap" in more else 1)
        assert "--group" not in more or not set(before["patient"]) & set(after["patient"])
    assert document["n_left_out"] + sum(map(len, tables)) == 200
    assert (document["n_left_out"] > 0) == ("--gap" in more)


def test_a_hash_keeps_rows_in_their_files_when_the_table_grows_as_data_validation_does(folder):
    rows = [(f"id{i}", i / 10, "ab"[i % 2]) for i in range(900)]
    write_csv(folder / "t.csv", ["id", "x", "y"], rows[:500])
    done("split", "t.csv", "--hash", "id", "-o", "before")
    write_csv(folder / "t.csv", ["id", "x", "y"], rows[::-1])
    done("split", "t.csv", "--hash", "id", "-o", "after")
    for name in FILES:
        assert set(lines(folder / "before" / f"{name}.csv")) <= set(lines(folder / "after" / f"{name}.csv"))


@pytest.mark.parametrize("option", ["--group", "--hash", "--stratify"])
def test_a_stray_value_of_a_key_is_noted_with_its_place_and_kept(folder, option):
    write_csv(folder / "t.csv", ["id", "x"], [("12B" if i in (150, 151) else i // 12, i) for i in range(300)])
    notes = done("split", "t.csv", option, "id", "-o", "parts").stderr
    expected = (
        "t.csv:152: column id: '12B' is not a number, nor is 1 more ('12B'); the other 298 cells are numbers. "
        "Read as a value of its own."
    )
    assert expected in " ".join(notes.split())
    assert sum(line.startswith("12B,") for name in FILES for line in lines(folder / "parts" / f"{name}.csv")) == 2


def test_the_files_are_in_the_format_of_the_table(folder):
    text = "a;b\n" + "".join(f"{i},5;'x {i}\n" for i in range(50))
    (folder / "s.csv").write_text(text)
    (folder / "z.csv.gz").write_bytes(gzip.compress(text.replace(";", "|").encode()))
    frame = pd.DataFrame({"a": np.arange(50) / 7, "b": pd.date_range("2024-01-01", periods=50), "c": list("xy") * 25})
    frame.to_parquet(folder / "p.parquet")
    frame.to_json(folder / "j.jsonl", orient="records", lines=True, date_format="iso")
    for source, ending in (("s.csv", "csv"), ("z.csv.gz", "csv.gz"), ("p.parquet", "parquet"), ("j.jsonl", "jsonl")):
        done("split", source, "-o", source.partition(".")[0])
        assert sorted(tree(folder / source.partition(".")[0])) == sorted(f"{name}.{ending}" for name in FILES)
    assert sorted(row for name in FILES for row in lines(folder / "s" / f"{name}.csv")[1:]) == sorted(
        text.splitlines()[1:]
    )
    assert gzip.decompress((folder / "z" / "test.csv.gz").read_bytes()).startswith(b"a|b\n")
    parts = pd.concat([pd.read_parquet(folder / "p" / f"{name}.parquet") for name in FILES])
    again = parts.sort_values("a").reset_index(drop=True)
    assert all((again[name] == frame[name]).all() for name in "abc")
    assert json.loads(lines(folder / "j" / "test.jsonl")[0]).keys() == {"a", "b", "c"}
    done("split", "p.parquet", "-o", "q", "--format", "csv")
    assert sorted(tree(folder / "q")) == ["test.csv", "train.csv", "validation.csv"]


def test_files_that_are_there_are_replaced_with_force_alone_and_the_table_never(folder):
    visits(folder)
    done("split", "v.csv", "-o", ".")
    before = tree(folder)
    ended = mlp("split", "v.csv", "-o", ".", "--seed", 3)
    assert ended.code == 2
    assert "train.csv: exists already. Replace it with --force" in ended.stderr
    assert tree(folder) == before
    done("split", "v.csv", "-o", ".", "--seed", 3, "--force")
    assert tree(folder) != before
    ended = mlp("split", "train.csv", "-o", ".", "--force")
    assert ended.code == 2
    assert "train.csv: is the table itself" in ended.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--group", "pateint"), "v.csv: no column 'pateint'. Did you mean patient?"),
        (("--group", "patient", "--hash", "x"), "--group and --hash cannot be combined."),
        (("--gap", "3"), "--gap requires --time."),
        (("--time", "patient"), "v.csv: column patient holds neither dates nor numbers"),
        (("--validation", "0.6", "--test", "0.4"), "their sum must be above 0 and below 1."),
        (("--validation", "20"), "--validation 20: must be a fraction of the rows"),
        (("--test", "many"), "--test many: must be a number."),
        (("--time", "day", "--gap", "9999"), "a gap of 9999 leaves no row before it."),
        (("--format", "xlsx"), "cannot write .xlsx; use .csv, .jsonl or .parquet"),
    ],
)
def test_what_cannot_be_split_so_is_said_and_nothing_is_written(folder, options, message):
    visits(folder)
    before = tree(folder)
    ended = mlp("split", "v.csv", *options)
    assert ended.code == 2
    assert message in ended.stderr
    assert tree(folder) == before


def test_a_row_that_is_broken_leaves_no_file(folder):
    visits(folder)
    with (folder / "v.csv").open("a") as file:
        file.write("p1,2024-01-01,3\n")
    ended = mlp("split", "v.csv", "-o", "parts")
    assert ended.code == 2
    assert "v.csv:202: 3 fields, expected 4" in ended.stderr
    assert not (folder / "parts").exists()
    assert mlp("split", "-").code == 2


@pytest.mark.parametrize(("n_rows", "options"), [(1, ["--test", "0"]), (2, [])])
def test_fewer_rows_than_files_are_refused_in_the_words_of_the_verb(folder, n_rows, options):
    write_csv(folder / "few.csv", ["a", "b"], [[row, row] for row in range(n_rows)])
    ended = mlp("split", "few.csv", *options)
    assert ended.code == 2
    assert ended.stderr == f"few.csv: {n_rows} row{'s' * (n_rows > 1)} for {n_rows + 1} files: add rows.\n"
    assert [path.name for path in folder.iterdir()] == ["few.csv"]


def test_a_table_that_changes_between_its_two_passes_is_not_split(folder, monkeypatch):
    table, write = visits(folder), split_workflow._write

    def changed(*arguments):
        table.write_text(table.read_text().replace("p1,", "p2,"))
        write(*arguments)

    monkeypatch.setattr(split_workflow, "_write", changed)
    ended = mlp("split", table, "-o", "g", "--group", "patient")
    assert (ended.code, ended.stderr.count("was changed while it was read")) == (2, 1)
    assert tree(folder / "g") == {}
