"""The examples of docs/ci.md, run as a pipeline runs them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

import mlpcli
from tests.program import ROOT
from tests.test_docs import DOCS, blocks_of

BLOCKS = {block.language: block.text for block in reversed(blocks_of(DOCS / "ci.md"))}  # the first of each


@pytest.fixture
def run(folder):
    """Runs a shell command in a checkout that has `mlp` on its path."""
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, folder / name)
    program = folder / "bin" / "mlp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlpcli "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def in_shell(command):
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    if shutil.which("bash") is None:
        pytest.skip("the examples are for a shell")
    return in_shell


def test_the_steps_of_the_workflow_run_in_order_and_leave_what_is_uploaded(folder, run):
    steps = yaml.safe_load(BLOCKS["yaml"])["jobs"]["train"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0] == f"pip install mlp_train-{mlpcli.__version__}-py3-none-any.whl"
    for command in commands[1:]:
        ended = run(command)
        assert ended.returncode == 0, ended
    assert json.loads((folder / "verdict.json").read_text())["passed"] is True
    for path in steps[-1]["with"]["path"].split():
        assert (folder / path).exists()
    missed = run(commands[-1].replace("log_loss=0.5", "log_loss=0.0001"))
    assert missed.returncode == 1


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_trains_once_and_again_when_the_config_changes(folder, run):
    (folder / "Makefile").write_text(BLOCKS["make"] + "\n")
    assert run("make -s all answers.csv").returncode == 0
    verdict = folder / "runs" / "penguins" / "verdict.json"
    assert json.loads(verdict.read_text())["passed"] is True
    assert (folder / "answers.csv").read_text().count("\n") == 345
    assert run("make -q all answers.csv").returncode == 0
    config = folder / "configs" / "penguins.yaml"
    os.utime(config)
    assert run("make -q all").returncode == 1
    config.write_text(config.read_text() + "\nunknown: 1\n")
    before = verdict.read_bytes()
    assert run("make -s all").returncode == 2
    assert verdict.read_bytes() == before


def test_the_job_of_every_night_replaces_the_model_unless_the_new_one_is_worse(folder, run):
    (folder / "nightly.sh").write_text(BLOCKS["text"] + "\n")
    header, *rows = (folder / "data" / "penguins.csv").read_text().splitlines()
    cuts = {"first.csv": rows[0::3], "day.csv": rows[1::3], "holdout.csv": rows[2::3]}
    for name, own in cuts.items():
        (folder / name).write_text("\n".join([header, *own]) + "\n")
    (folder / "models").mkdir()
    trained = run("mlp train configs/penguins.yaml --set data.train=first.csv --set training.epochs=3 -o runs/first -q")
    assert trained.returncode == 0, trained
    model = folder / "models" / "birds.npz"
    shutil.copy(folder / "runs" / "first" / "weights.npz", model)
    before = model.read_bytes()
    ended = run("sh nightly.sh")
    assert ended.returncode == 0, ended
    after = model.read_bytes()
    assert after == (folder / "runs" / "tonight" / "weights.npz").read_bytes() != before
    names = {"Adelie": "Gentoo", "Gentoo": "Chinstrap", "Chinstrap": "Adelie"}
    wrong = [",".join([names[row.split(",")[0]], *row.split(",")[1:]]) for row in cuts["day.csv"]]
    (folder / "day.csv").write_text("\n".join([header, *wrong * 3]) + "\n")
    more = "--set training.epochs=40 --set training.optimizer.learning_rate=0.5"
    ended = run(f"sed -i 's#runs/tonight --quiet#runs/tonight {more} --quiet#' nightly.sh; sh nightly.sh")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "tonight's model is worse: models/birds.npz stays")
    assert model.read_bytes() == after
    (folder / "day.csv").unlink()
    assert run("sh nightly.sh").returncode == 2
    assert model.read_bytes() == after


def test_the_release_is_proved_before_it_is_published():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert {"run": "bash .ci/release --tests"} in jobs["build"]["steps"]
    assert jobs["attach"]["needs"] == "build"
    assert jobs["publish"]["needs"] == "attach"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert not any("password" in step.get("with", {}) for step in jobs["publish"]["steps"])


def test_the_wheel_is_named_as_the_readme_and_the_docs_say():
    wheel = f"mlp_train-{mlpcli.__version__}-py3-none-any.whl"
    assert wheel in (ROOT / "README.md").read_text(encoding="utf-8")
    assert 'wheel="$PWD/dist/mlp_train-$version-py3-none-any.whl"' in (ROOT / ".ci" / "release").read_text()
