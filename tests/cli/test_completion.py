"""The tab key in real shells."""

import os
import shutil
import subprocess
import sys

import pytest

from mlpcli.cli.completion import complete_setting, join_setting
from mlpcli.config.schema.fields import all_keys, spec_of
from mlpcli.config.schema.sections import Config
from tests.program import ROOT

BASH = """
source "$script"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_mlp_completion mlp
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def shell(folder):
    """Runs a program that finds `mlp`, and returns the lines of its output."""
    program = folder / "bin" / "mlp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlpcli "$@"\n')
    program.chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder)}

    def run(*command, **more):
        ended = subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, timeout=120, check=True
        )
        assert ended.stderr == ""
        return ended.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory):
    """What a user of bash sources, written once."""
    command = [sys.executable, "-m", "mlpcli"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_MLP_COMPLETE": "source_bash"}
    path = tmp_path_factory.mktemp("completion") / "mlp.bash"
    with path.open("wb") as file:
        subprocess.run(command, env=environment, stdout=file, timeout=120, check=True)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["tra"], ["train"]),
        (["train", "c.yaml", "--set", "training.epo"], ["training.epochs=", "training.epochs=100"]),
        # bash takes an equals sign for a word of its own.
        (["train", "c.yaml", "--set", "training.optimizer", "=", "ad"], ["adam", "adamw", "adagrad"]),
        (["train", "c.yaml", "--set", "model.layer_norm", "="], ["true", "false"]),
        (["train", "c.yaml", "--set", "no.such.key", "="], [""]),
        (["init", "a.csv", "--recipe", ""], ["best", "strong", "fast", "textbook"]),
        (["init", "a.csv", "--task", "re"], ["regression"]),
        (["predict", "w.npz", "t.csv", "--on-drift", "f"], ["fail"]),
        (["eval", "w.npz", "t.csv", "--min", "accu"], ["accuracy=", "accuracy.low="]),
    ],
)
def test_bash_completes(shell, bash_script, words, offered):
    assert shell("bash", "-c", BASH, "bash", "mlp", *words, script=str(bash_script)) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes_keys_with_their_meaning(shell):
    script = '_MLP_COMPLETE=source_fish mlp | source; complete -C "mlp train --set training.optimizer=ad"'
    assert shell("fish", "-c", script) == [f"training.optimizer={name}" for name in ("adagrad", "adam", "adamw")]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_is_given_keys_with_their_meaning(shell):
    lines = shell(
        "zsh", "-fc", "mlp", _MLP_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="mlp train --set training.epo"
    )
    assert "\n".join(lines).startswith('_arguments \'*: :(("training.epochs=":"Passes over the training rows."')


def test_every_key_of_the_config_is_offered_and_nothing_else():
    keys = {f"{'.'.join(path)}=" for path in all_keys(spec_of(Config))}
    assert {text for text, _ in complete_setting("")} == keys


def test_values_behind_a_key_are_those_of_the_schema(monkeypatch):
    monkeypatch.delenv("_MLP_COMPLETE_KEY", raising=False)
    assert [text for text, _ in complete_setting("training.dtype=")] == [
        "training.dtype=float32", "training.dtype=float64",
    ]  # fmt: skip
    assert complete_setting("training.dtyp=") == []
    assert [text for text, _ in complete_setting("data.weigh")] == ["data.weight=", "data.weight=null"]


def test_words_of_other_shells_and_of_other_options_stay_as_they_are():
    for environment in (
        {"_MLP_COMPLETE": "complete_fish", "COMP_WORDS": "mlp\n--set\na\n=\nb", "COMP_CWORD": "4"},
        {"_MLP_COMPLETE": "complete_bash", "COMP_WORDS": "mlp\neval\n--min\na\n=\nb", "COMP_CWORD": "5"},
        {"_MLP_COMPLETE": "complete_bash", "COMP_WORDS": "mlp\ntrain", "COMP_CWORD": "1"},
    ):
        joined = dict(environment)
        join_setting(joined)
        assert joined == environment
