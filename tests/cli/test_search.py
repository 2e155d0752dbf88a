"""`mlp search`, through the command line."""

import importlib.util
import os
import signal
import time

import pytest

from mlpcli.config.loading import load_config
from tests.program import DATA, done, mlp, start, tree, write_config

if importlib.util.find_spec("optuna") is None:
    pytest.skip("the extra search is not installed", allow_module_level=True)

SPACE = {
    "training.optimizer.learning_rate": {"log": [0.01, 1.0]},
    "model.layers": {"choice": [["auto", 8, "auto"], ["auto", 16, "auto"]]},
}
SEARCH = {"space": SPACE, "trials": 6, "processes": 1, "recipes": False}


def searched(folder, search=None, **sections):
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression", **sections.pop("data", {})}
    training = {"epochs": 8, "optimizer": {"name": "sgd", "learning_rate": 0.02}, **sections.pop("training", {})}
    return write_config(folder / "d.yaml", data, training, search={**SEARCH, **(search or {})}, **sections)


@pytest.fixture(scope="module")
def diabetes_halves(tmp_path_factory):
    """Two files of the diabetes rows."""
    folder = tmp_path_factory.mktemp("halves")
    head, *rows = (DATA / "diabetes.csv").read_text().splitlines()
    for name, some in (("a.csv", rows[:300]), ("b.csv", rows[300:])):
        (folder / name).write_text("\n".join([head, *some]) + "\n")
    return folder


@pytest.fixture(scope="module")
def found(diabetes_halves, tmp_path_factory):
    """A search with a test file: its config, its folder and what it answered."""
    folder = tmp_path_factory.mktemp("search")
    data = {"train": str(diabetes_halves / "a.csv"), "test": str(diabetes_halves / "b.csv")}
    config = searched(folder, data=data)
    ended = done("search", config, "--output", folder / "out", "--json")
    return config, folder / "out", ended


def test_the_first_trial_is_the_config_as_written_and_the_best_one_wins(found):
    document = found[2].document
    assert [one["number"] for one in document["trials"]] == list(range(6))
    assert document["trials"][0]["origin"] == "as written"
    complete = [one for one in document["trials"] if one["outcome"] == "complete"]
    assert document["best"]["score"] == min(one["score"] for one in complete)
    assert document["metric"] == "rmse"


def test_the_config_of_the_winner_trains_the_very_model_that_was_judged(found, tmp_path):
    _, _, ended = found
    document = ended.document
    metrics = done("train", document["best"]["config"], "--output", tmp_path / "run", "--json").document["metrics"]
    assert metrics["validation.rmse"] == document["best"]["score"]
    assert metrics["test.rmse"] == document["unseen"]["score"]


def test_the_config_of_the_winner_is_whole_and_searches_nothing(found):
    config, _, ended = found
    best, written = load_config(ended.document["best"]["config"]).config, load_config(str(config)).config
    assert best.search is None
    assert best.data == written.data
    values = ended.document["best"]["values"]
    assert best.training.optimizer.learning_rate == values["training.optimizer.learning_rate"]


def test_trials_are_runs(found):
    _, folder, ended = found
    runs = {one["name"]: one for one in done("runs", folder, "--json").document["runs"]}
    for trial in ended.document["trials"]:
        run = runs[f"trials/{trial['number']:04}"]
        assert run["state"] == trial["outcome"]
        assert run["scores"]["rmse"] == trial["score"]
    best = ended.document["best"]["number"]
    kept = {path.parent.name for path in folder.glob("trials/*/weights.npz")}
    assert kept == {"0000", f"{best:04}"}


def test_rows_put_aside_are_seen_by_no_trial(folder):
    config = searched(folder, {"trials": 2, "holdout": 0.25})
    document = done("search", config, "--json").document
    assert document["n_rows"] + document["unseen"]["n_rows"] == 442
    assert document["unseen"]["n_rows"] == 110
    # A model of the winner's trial has met none of them: of all rows it knows its training rows alone.
    evaluated = done("eval", "runs/d-search/trials/0000/weights.npz", DATA / "diabetes.csv")
    assert "60% of the rows were trained on" in evaluated.stderr  # 0.75 * 0.8


def test_going_on_adds_trials_and_runs_none_twice(folder):
    config = searched(folder)
    whole = done("search", config, "--json", "--output", "whole").document
    done("search", config, "--output", "parts", "--trials", 3, "-q")
    assert mlp("search", config, "--output", "parts").code == 2
    before = tree(folder / "parts" / "trials")
    parts = done("search", config, "--json", "--output", "parts", "--resume").document

    def told(document):
        return [{key: one[key] for key in ("number", "outcome", "score", "values")} for one in document["trials"]]

    assert told(parts) == told(whole)
    assert parts["unseen"] == whole["unseen"]
    after = tree(folder / "parts" / "trials")
    assert {name: after[name] for name in before if not name.endswith("weights.npz")} == {
        name: data for name, data in before.items() if not name.endswith("weights.npz")
    }


def test_a_search_of_another_config_does_not_go_on(folder):
    config = searched(folder, {"trials": 2})
    done("search", config, "-q")
    ended = mlp("search", config, "--resume", "--set", "training.epochs=9")
    assert ended.code == 2
    assert "was started with 8, the config says 9" in ended.stderr
    assert mlp("search", config, "--resume", "--set", "search.space={model.dropout: {uniform: [0, 0.5]}}").code == 2


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_search_of_other_data_does_not_go_on(folder, part):
    head, *rows = (DATA / "diabetes.csv").read_text().splitlines(keepends=True)
    files = {"training": folder / "t.csv", "validation": folder / "v.csv"}
    files["training"].write_text(head + "".join(rows[:300]))
    files["validation"].write_text(head + "".join(rows[300:]))
    config = searched(folder, {"trials": 2}, data={"train": "t.csv", "validation": "v.csv"})
    done("search", config, "-q")
    files[part].write_text(head + "".join(rows[200:350]))
    ended = mlp("search", config, "--resume", "--trials", 3)
    assert ended.code == 2
    assert f"the {part} data differs from what runs/d-search/journal.jsonl was searched on" in ended.stderr


def test_a_trial_that_diverges_or_fails_ends_itself_alone(folder):
    space = {
        "training.optimizer.learning_rate": {"choice": [0.01, 1e12]},
        "model.layers": {"choice": [["auto", 8, "auto"], ["auto", 8, 3]]},
    }
    ended = done("search", searched(folder, {"space": space, "trials": 20}), "--json")
    outcomes = {one["outcome"]: one for one in ended.document["trials"]}
    assert set(outcomes) == {"complete", "diverged", "failed"}
    assert outcomes["diverged"]["reason"].startswith("diverged at epoch")
    assert outcomes["failed"]["reason"].startswith("model.layers [auto, 8, 3]: 1 target need")
    assert len(ended.document["trials"]) <= 5  # there are no more points


def test_the_recipes_are_tried_after_the_config(folder):
    search = {"recipes": True, "trials": 4}
    config = write_config(
        folder / "i.yaml", {"train": str(DATA / "iris.csv"), "target": "species"}, {"epochs": 3},
        search={**SEARCH, **search},
    )  # fmt: skip
    document = done("search", config, "--json").document
    origins = [one["origin"] for one in document["trials"]]
    assert origins == ["as written", "recipe strong", "recipe fast", "recipe textbook"]
    assert {one["outcome"] for one in document["trials"]} == {"complete"}


def test_a_config_on_folds_is_searched_on_its_folds(folder):
    search = {"recipes": True, "trials": 2}
    config = searched(folder, search, data={"validation": None}, model={"members": {"count": 2, "rows": "folds"}})
    document = done("search", config, "--json").document
    assert {one["outcome"] for one in document["trials"]} == {"complete"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["data.validation=null", "training.early_stopping=null"], "scored on validation rows"),
        (["search.metric=acuracy"], "unknown metric 'acuracy'"),
        (["search.trials=null"], "both null"),
        (["search=null"], "no key to search"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(folder, changes, says):
    settings = [word for change in changes for word in ("--set", change)]
    ended = mlp("search", searched(folder), *settings)
    assert ended.code == 2
    assert says in ended.stderr
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("text", [None, "age,sex\n1,2\n"])
def test_a_test_file_that_cannot_be_scored_is_refused_before_the_first_trial(folder, text):
    if text is not None:
        (folder / "t.csv").write_text(text)
    ended = mlp("search", searched(folder, {"trials": 2}, data={"test": "t.csv"}))
    assert ended.code == 2
    assert ended.stderr.startswith("t.csv: ")
    assert not (folder / "runs").exists()


def test_a_training_says_that_it_searches_nothing(folder):
    ended = done("train", searched(folder), "--output", "run")
    assert "section search is used by mlp search only" in ended.stderr
    assert "space" not in (folder / "run/config.yaml").read_text()
    assert "up to date" in done("train", searched(folder), "--output", "run", "--if-changed").stdout


def test_check_refuses_a_space_that_search_would(folder):
    ended = mlp("check", searched(folder), "--set", "search.space={model.dropuot: {uniform: [0, 1]}}")
    assert ended.code == 2
    assert "dropout" in ended.stderr


def test_without_optuna_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr("mlpcli.search.space.find_spec", lambda name: None)
    ended = mlp("search", searched(folder))
    assert ended.code == 2
    assert 'pip install "mlp-train[search]"' in ended.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
@pytest.mark.parametrize(("number", "n_processes"), [(signal.SIGKILL, 2), (signal.SIGINT, 1)])
def test_a_search_survives_its_end(folder, number, n_processes):
    config = searched(folder, {"processes": n_processes, "trials": 8}, training={"epochs": 80})
    with start("search", config, cwd=folder) as process:
        journal = folder / "runs/d-search/journal.jsonl"
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b'"state"') > 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130, said
        assert b"--resume" in said
    ended = done("search", config, "--resume", "--json", "--processes", 1)
    trials = ended.document["trials"]
    assert [one["number"] for one in trials] == list(range(8))
    assert "in flight" not in {one["outcome"] for one in trials}


def test_a_search_on_a_cluster_finds_what_one_here_finds(folder):
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("the extra cluster is not installed")
    space = {"training.batch_size": {"choice": [16, 32]}, "model.layers": SPACE["model.layers"]}
    config = searched(folder, {"space": space, "trials": 10})

    def scores(document):
        return {str(one["values"]): (one["outcome"], one["score"]) for one in document["trials"]}

    here = done("search", config, "--output", "here", "--json").document
    there = done("search", config, "--output", "there", "--json", "--cluster", "local:2").document
    assert scores(here) == scores(there)
    assert len(scores(here)) == 5  # the config as written, which is outside, and four points
    assert there["unseen"] == here["unseen"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cluster", "localhost"], "must be tcp://HOST:PORT"),
        (["--cluster", "tls://a:1"], "needs --cluster-security"),
        (["--cluster", "tls://a:1", "--cluster-security", "a.pem"], "must be three files"),
        (["--cluster-security", "a,b,c"], "Add --cluster"),
    ],
)
def test_options_of_a_cluster_are_checked(folder, options, says):
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("the extra cluster is not installed")
    ended = mlp("search", searched(folder), *options)
    assert ended.code == 2
    assert says in ended.stderr
