import gzip
import json

import pytest

from benchmarks.quality.splits import find_splits


def stage(folder, name, header="x,y", rows=("1,2.5", "2,3.5")):
    (folder / name).mkdir()
    for part in ("train", "test"):
        (folder / name / f"{part}.csv.gz").write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode()))


def test_without_a_list_the_last_column_is_the_target(tmp_path):
    stage(tmp_path, "amounts")
    stage(tmp_path, "kinds", rows=("1,a", "2,b", "3,a"))
    splits, left_out = find_splits(tmp_path)
    assert {(split.name, split.target, split.task) for split in splits} == {
        ("amounts", "y", "regression"),
        ("kinds", "y", "classification"),
    }
    assert left_out == []


def test_a_list_names_target_and_task_and_leaves_the_others_out(tmp_path):
    stage(tmp_path, "listed")
    stage(tmp_path, "stranger")
    (tmp_path / "peers.json").write_text(json.dumps({"listed": {"target": "x", "task": "classification"}}))
    splits, left_out = find_splits(tmp_path)
    assert [(split.name, split.target, split.task) for split in splits] == [("listed", "x", "classification")]
    assert left_out == ["stranger"]
    assert [split.target for split in find_splits(tmp_path, ["stranger"])[0]] == ["y"]


def test_a_folder_may_describe_itself(tmp_path):
    stage(tmp_path, "own")
    (tmp_path / "own" / "meta.json").write_text(json.dumps({"target": "x", "task": "regression"}))
    assert [(split.target, split.task) for split in find_splits(tmp_path)[0]] == [("x", "regression")]


def test_a_name_without_a_split_is_an_error_that_names_what_there_is(tmp_path):
    stage(tmp_path, "flowers")
    with pytest.raises(FileNotFoundError, match=r"no flower/train.*flowers"):
        find_splits(tmp_path, ["flower"])


def test_a_folder_without_any_split_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no NAME/train"):
        find_splits(tmp_path)
