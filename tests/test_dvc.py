"""The DVC pipeline of docs/ci.md, run by DVC where it is installed (100 packages: too many for the extra `test`)."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.program import ROOT
from tests.test_docs import DOCS, blocks_of

PIPELINE = next(block.text for block in blocks_of(DOCS / "ci.md") if "stages:" in block.text)


@pytest.fixture
def dvc(folder, monkeypatch):
    """Runs DVC in a repository with the samples."""
    for program in ("dvc", "git"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here (pip install dvc: 165 MB)")
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, name)
    (folder / "bin").mkdir()
    program = folder / "bin" / "mlp"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m mlpcli "$@"\n')
    program.chmod(0o755)
    (folder / "dvc.yaml").write_text(PIPELINE)
    environment = {
        **os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    }  # fmt: skip
    environment.pop("PYTHONPATH", None)

    def run(*command):
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("git", "init", "-q", ".")
    run("dvc", "init", "-q")
    return run


def test_dvc_trains_once_and_reads_scores_and_curves_as_they_are(dvc, folder):
    dvc("dvc", "repro", "-q")
    dvc("git", "add", "-A")
    dvc("git", "commit", "-qm", "first")
    (shown,) = json.loads(dvc("dvc", "metrics", "show", "--json"))[""]["data"].values()
    metrics = json.loads((folder / "runs" / "penguins" / "metrics.json").read_text())
    assert shown["data"] == {name: value for name, value in metrics.items() if not isinstance(value, list)}
    assert dvc("dvc", "status").startswith("Data and pipelines are up to date")

    config = folder / "configs" / "penguins.yaml"
    config.write_text(config.read_text().replace("momentum: 0.9", "momentum: 0.8"))
    dvc("dvc", "repro", "-q")
    (changed,) = json.loads(dvc("dvc", "metrics", "diff", "--json")).values()
    assert changed["validation.log_loss"]["old"] == shown["data"]["validation.log_loss"]
    (plots,) = json.loads(dvc("dvc", "plots", "show", "--json"))["data"].values()
    points = plots[0]["content"]["data"]["values"]
    assert {"epoch", "train_loss", "validation_loss"} <= points[1].keys()
