"""A search that is killed at any point resumes as if it had not been interrupted."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("optuna", reason="the extra search is not installed")

from mlpcli.errors import MlpError
from mlpcli.search.space import space_of
from mlpcli.search.study import InitialTrial, Study, Trial
from tests.search.conftest import config

IDENTITY = {"data": "abc", "training.epochs": 20}
N_TRIALS = 18


def open_study(path, space=None, seed=0):
    loaded = config(space)
    searched = space_of(loaded)
    as_written = InitialTrial("as written", loaded, searched.as_drawn(loaded))
    initial_trials = [as_written, InitialTrial("recipe fast", loaded)]
    study = Study(str(path), searched, loaded, initial_trials, higher_is_better=False, seed=seed)
    study.begin(IDENTITY)
    return study


def score_of(values):
    """A score that depends only on the values."""
    rate = values.get("training.optimizer.learning_rate", 0.05)
    return abs(math.log10(rate) + 2) + values.get("training.batch_size", 32) / 1000


def run(study, n_trials=N_TRIALS, ends_at=math.inf):
    """Run trials up to this number; every fifth diverges and every seventh fails."""
    n_steps = 0
    while study.n_begun < n_trials or study.has_unfinished:
        proposal = study.propose()
        if proposal is None:
            return
        score = score_of(proposal.values)
        for epoch in (5, 10, 15, 20):
            n_steps += 1
            if n_steps > ends_at:
                return
            if study.report(proposal.number, epoch, score + 1 / epoch):
                study.finish(Trial(proposal.number, "pruned", score, proposal.values, reason="pruned"))
                break
        else:
            outcome = "diverged" if proposal.number % 5 == 4 else "failed" if proposal.number % 7 == 6 else "complete"
            reported_score = score if outcome == "complete" else None
            study.finish(Trial(proposal.number, outcome, reported_score, proposal.values, proposal.origin, 20))


def finished_trials(path):
    study = open_study(path)
    run(study)
    trials = study.trials()
    study.close()
    return trials


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The journal of an uninterrupted search, and its trials."""
    path = tmp_path_factory.mktemp("whole") / "journal.jsonl"
    return finished_trials(path), path.read_bytes()


def test_every_outcome_occurs(uninterrupted):
    assert {trial.outcome for trial in uninterrupted[0]} >= {"complete", "pruned", "diverged", "failed"}
    assert [trial.number for trial in uninterrupted[0]] == list(range(N_TRIALS))


@given(at=st.floats(0.0, 1.0))
@settings(max_examples=10)
def test_a_search_whose_journal_is_cut_at_any_byte_resumes_to_the_same_trials(uninterrupted, tmp_path_factory, at):
    trials, data = uninterrupted
    path = tmp_path_factory.mktemp("cut") / "journal.jsonl"
    path.write_bytes(data[: round(at * len(data))])
    assert finished_trials(path) == trials


def test_unfinished_trials_are_started_again_with_their_numbers(tmp_path):
    path = tmp_path / "journal.jsonl"
    study = open_study(path)
    proposals = [study.propose() for _ in range(4)]
    study.close()
    resumed = open_study(path)
    assert [trial.outcome for trial in resumed.trials()] == ["in flight"] * 4
    for before in proposals:
        after = resumed.propose()
        assert (after.number, after.values, after.origin) == (before.number, before.values, before.origin)
        assert after.loaded.config == before.loaded.config
    assert not resumed.has_unfinished
    resumed.close()


def test_the_same_seed_draws_the_same_and_another_one_does_not(tmp_path):
    values_by_seed = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        study = open_study(tmp_path / name, seed=seed)
        run(study)
        values_by_seed.append([trial.values for trial in study.trials()])
        study.close()
    assert values_by_seed[0] == values_by_seed[1] != values_by_seed[2]


def test_each_point_of_a_small_space_is_tried_once(tmp_path):
    space = {
        "training.batch_size": {"choice": [16, 32, 64]},
        "model.layers": {"choice": [["auto", 16, "auto"], ["auto", 8, "auto"]]},
    }
    study = open_study(tmp_path / "journal.jsonl", space)
    run(study, n_trials=100)
    values = [str(trial.values) for trial in study.trials()[2:]]
    assert sorted(set(values)) == sorted(values)
    assert len(values) == 5  # the sixth is the config as written
    study.close()


def test_the_sampler_is_better_than_random(tmp_path):
    """The mean score of the last 15 of 40 trials is better than that of the first 15."""
    study = open_study(tmp_path / "journal.jsonl")
    run(study, n_trials=40)
    scores = [score_of(trial.values) for trial in study.trials()[2:]]
    assert sum(scores[-15:]) < 0.7 * sum(scores[:15])
    study.close()


def test_importance_finds_the_key_that_decides(tmp_path):
    study = open_study(tmp_path / "journal.jsonl")
    run(study, n_trials=36)
    importance = study.importance()
    assert max(importance, key=importance.get) == "training.optimizer.learning_rate"
    assert sum(importance.values()) == pytest.approx(1.0)
    study.close()


def test_a_journal_that_is_damaged_before_its_end_is_refused(tmp_path, uninterrupted):
    path = tmp_path / "journal.jsonl"
    lines = uninterrupted[1].split(b"\n")
    lines[7] = lines[7][:10]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(MlpError, match=r"journal\.jsonl:8: not an event of a search"):
        open_study(path)
    assert path.read_bytes() == b"\n".join(lines)
