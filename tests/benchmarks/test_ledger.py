import json

import pytest

from benchmarks.quality.ledger import Ledger

MACHINE = {"processor": "abacus"}


def run(contestant, seed=0, seconds=1.0):
    return {"dataset": "houses", "contestant": contestant, "seed": seed, "overrides": [], "seconds": seconds}


def test_a_finished_run_is_in_the_file_for_the_next_process(tmp_path):
    Ledger(tmp_path / "q.json", "quality", MACHINE).add(run("a"))
    found = Ledger(tmp_path / "q.json", "quality", MACHINE)
    assert found.runs == [run("a")]
    assert found.has("houses", "a", 0)
    assert not found.has("houses", "a", 1)
    assert not found.has("houses", "a", 0, ["model.dropout=0"])
    assert json.loads((tmp_path / "q.json").read_text())["machine"] == MACHINE
    assert [file.name for file in tmp_path.iterdir()] == ["q.json"]


def test_two_ledgers_of_one_file_keep_each_others_runs(tmp_path):
    first, second = Ledger(tmp_path / "q.json", "quality", MACHINE), Ledger(tmp_path / "q.json", "quality", MACHINE)
    first.add(run("a"))
    second.add(run("b"))
    first.add(run("a", seconds=2.0))
    assert first.runs == second.runs == [run("a", seconds=2.0), run("b")]


def test_forgetting_takes_out_a_contestant_on_the_named_datasets(tmp_path):
    ledger = Ledger(tmp_path / "q.json", "quality", MACHINE)
    for contestant in ("a", "b"):
        ledger.add(run(contestant))
    ledger.forget(["a"], ["boats"])
    assert len(ledger.runs) == 2
    ledger.forget(["a"], ["houses"])
    assert ledger.runs == [run("b")]


def test_results_of_another_processor_are_not_added_to(tmp_path):
    Ledger(tmp_path / "q.json", "quality", MACHINE).add(run("a"))
    with pytest.raises(ValueError, match="measured on abacus"):
        Ledger(tmp_path / "q.json", "quality", {"processor": "slide rule"})


def test_scores_of_several_processors_may_stand_together(tmp_path):
    Ledger(tmp_path / "q.json", "quality", MACHINE).add(run("a"))
    Ledger(tmp_path / "q.json", "quality", {"processor": "brain"}, compares_times=False).add(run("b"))
    found = Ledger(tmp_path / "q.json", "quality", {"processor": "brain"})
    assert found.runs == [run("a"), run("b")]
