"""`mlp repro`: the same bytes again from the record inside a model, or what is different."""

import shutil
from dataclasses import replace

import pytest

from mlpcli.storage.model.model_file import encode_model, load_model
from tests.program import DATA, done, mlp, train

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}


def edited(weights, path, **record):
    """A copy of a model file with other entries in its record."""
    model = load_model(str(weights))
    path.write_bytes(encode_model(replace(model, record={**model.record, **record})))
    return path


@pytest.mark.parametrize("name", ["iris", "penguins", "diabetes"])
def test_a_model_gives_itself_again(name, request):
    weights = request.getfixturevalue(name)
    ended = done("repro", weights)
    assert ended.lines == [f"{weights}: {load_model(str(weights)).record['epochs']} epochs reproduced bit for bit"]
    assert done("repro", weights, "--quiet", "--json").document["same"] is True


def test_early_stopping_members_averages_and_a_set_seed_are_repeated_too(folder):
    training = {"epochs": 30, "early_stopping": {"patience": 2}, "seed": 7, "averaging": "ema", "engine": "numpy"}
    weights = train(folder, IRIS, training, model={"members": {"count": 2, "rows": "bootstrap"}})
    (folder / "elsewhere.npz").write_bytes(weights.read_bytes())
    shutil.rmtree(folder / "run")
    assert "reproduced bit for bit" in done("repro", "elsewhere.npz").stdout
    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "elsewhere.npz"]


def test_a_run_that_ended_before_its_config_says_so_is_repeated_up_to_the_epoch_it_reached(folder):
    weights = train(folder, IRIS, {"epochs": 3})
    model = load_model(str(weights))
    config = {**model.record["config"], "training": {**model.record["config"]["training"], "epochs": 9}}
    assert "3 epochs reproduced bit for bit" in done("repro", edited(weights, folder / "cut.npz", config=config)).stdout


def test_a_patience_that_was_lowered_on_resuming_does_not_end_the_repetition_earlier(folder):
    weights = train(folder, IRIS, {"epochs": 12, "early_stopping": {"metric": "accuracy", "patience": 50}})
    config = load_model(str(weights)).record["config"]
    config["training"]["early_stopping"]["patience"] = 1
    again = edited(weights, folder / "resumed.npz", config=config)
    assert "12 epochs reproduced bit for bit" in done("repro", again).stdout


def test_the_data_may_lie_elsewhere(folder):
    shutil.copy(DATA / "iris.csv", folder / "flowers.csv")
    weights = train(folder, {**IRIS, "train": "flowers.csv"})
    (folder / "flowers.csv").rename("moved.csv")
    ended = mlp("repro", weights)
    assert (ended.code, ended.stdout) == (2, "")
    assert f"flowers.csv: no such file; {weights} was trained on it. Name the data: --data FILE" in ended.stderr
    assert "reproduced bit for bit" in done("repro", weights, "--data", "moved.csv").stdout
    assert mlp("repro", weights, "--data", "nowhere.csv").code == 2
    stdin = (DATA / "iris.csv").read_bytes()
    assert "reproduced bit for bit" in done("repro", weights, "--data", "-", stdin=stdin).stdout


def test_other_data_is_named_by_its_hash_and_not_trained_on(folder, iris):
    lines = (DATA / "iris.csv").read_text().splitlines()
    (folder / "t.csv").write_text("\n".join(lines[:-1]) + "\n")
    ended = mlp("repro", iris, "--data", "t.csv")
    assert ended.code == 1
    assert ended.lines[0] == f"{iris}: the data differs: not trained again"
    assert ended.lines[-1].split()[:3] == ["train", "data", "sha256"]
    assert "epoch" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == f"{iris}: not reproduced: train data"
    assert mlp("repro", iris, "--data", "t.csv", "--json").document["trained"] is False


def test_another_version_is_named_also_where_every_number_is_the_same(folder, iris):
    (sitting,) = load_model(str(iris)).record["sittings"]
    sittings = [{**sitting, "versions": {**sitting["versions"], "numpy": "1.2.3"}}]
    ended = mlp("repro", edited(iris, folder / "old.npz", sittings=sittings))
    assert ended.code == 1
    assert ["versions", "numpy", "1.2.3"] in [line.split()[:3] for line in ended.lines]
    assert ended.lines[-1] == "all arrays are equal"


def test_a_number_that_comes_out_otherwise_is_found_and_laid_to_the_machine(folder, iris):
    model = load_model(str(iris))
    model.ensemble.tensors()["W2"][0, 0] += 0.5
    (folder / "odd.npz").write_bytes(encode_model(model))
    document = mlp("repro", "odd.npz", "--json").document
    assert [one["name"] for one in document["arrays"]] == ["W2"]
    assert document["arrays"][0]["largest_change"] == pytest.approx(0.5, rel=1e-5)
    assert [one["what"] for one in document["deviations"]] == ["machine or BLAS"]
    assert mlp("repro", "odd.npz").code == 1


def test_threads_and_engine_are_those_of_the_record_whatever_this_machine_would_choose(folder):
    weights = train(folder, IRIS, {"epochs": 3, "threads": 2})
    model = load_model(str(weights))
    assert model.record["sittings"][0]["threads"] == 2
    config = {**model.record["config"], "training": {**model.record["config"]["training"], "threads": "auto"}}
    ended = mlp("repro", edited(weights, folder / "two.npz", config=config), "--json")
    assert ended.document["same"] is True


@pytest.mark.parametrize("members", [1, 3])
def test_what_compiled_code_trained_is_repeated_by_compiled_code(folder, members):
    pytest.importorskip("numba")
    weights = train(folder, IRIS, {"epochs": 2, "engine": "compiled"}, model={"members": members})
    assert "reproduced bit for bit" in done("repro", weights).stdout


@pytest.mark.parametrize("record", [{"config": None}, {"epochs": "many"}])
def test_a_model_with_half_a_record_is_refused(folder, iris, record):
    ended = mlp("repro", edited(iris, folder / "bare.npz", **record))
    assert (ended.code, ended.stdout) == (2, "")
    assert f"at record.{next(iter(record))}: must be" in ended.stderr


def test_a_model_of_standard_input_asks_for_a_file(folder):
    stdin = (DATA / "iris.csv").read_bytes()
    (folder / "c.yaml").write_text("data: {train: '-', target: species}\ntraining: {epochs: 2}\n")
    done("train", "c.yaml", "-q", stdin=stdin)
    ended = mlp("repro", "runs/c/weights.npz", stdin=stdin)
    assert ended.code == 2
    assert "was trained on standard input" in ended.stderr
    assert "reproduced bit for bit" in done("repro", "runs/c/weights.npz", "--data", DATA / "iris.csv").stdout
