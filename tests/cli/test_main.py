"""The program as a whole: exit codes, the two output streams, and how it ends when something else ends it."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from mlpcli import __version__
from mlpcli.cli import main
from mlpcli.workflows import inspect as inspect_workflow
from tests.program import DATA, done, mlp, start, write_csv


def test_version_and_help_end_with_0(folder):
    assert done("--version").stdout == f"mlp {__version__}\n"
    for verb in ([], ["init"], ["check"], ["train"], ["predict"], ["eval"], ["inspect"]):
        for option in ("--help", "-h"):
            ended = done(*verb, option)
            assert "Usage: mlp" in ended.stdout
            assert ended.stderr == ""
            assert not verb or f"Example: mlp {verb[0]} " in ended.stdout


def test_no_argument_shows_the_help_and_nothing_else():
    ended = mlp()
    assert ended.code == 2
    assert "Usage: mlp" in ended.stdout
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "mlp train: CONFIG is missing: YAML file; mlp init writes one.\nExample: mlp train configs/"),
        (
            ["train", "c.yaml", "--epochs", "3"],
            "No such option: --epochs. Set the config key: --set training.epochs=3",
        ),
        (["train", "c.yaml", "--seed", "-1"], "--seed"),
        (["train", "c.yaml", "--seed", "x"], "--seed"),
        (
            ["predict", "weights.npz"],
            "mlp predict: INPUT is missing: Table, or - for standard input.\nExample: mlp predict ",
        ),
        (["inspect", "a", "b"], "mlp inspect: b: no more arguments are taken after WEIGHTS.\nExample: mlp inspect "),
    ],
)
def test_a_wrong_command_line_is_two_lines_at_most_and_exit_code_2(folder, arguments, message):
    ended = mlp(*arguments)
    assert (ended.code, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1 + message.count("\n")
    assert list(folder.iterdir()) == []


def test_a_bug_ends_with_70_and_a_traceback(iris, monkeypatch):
    monkeypatch.setattr(inspect_workflow, "load_model", lambda path: 1 / 0)
    ended = mlp("inspect", iris)
    assert (ended.code, ended.stdout) == (70, "")
    assert "Traceback" in ended.stderr
    assert "ZeroDivisionError" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"this is a bug in mlpcli {__version__}")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(KeyboardInterrupt(), 130, ""), (MemoryError(), 2, "not enough memory for this data.")],
)
def test_what_is_no_bug_has_no_traceback(iris, monkeypatch, error, code, message):
    def fail(path):
        raise error

    monkeypatch.setattr(inspect_workflow, "load_model", fail)
    ended = mlp("inspect", iris)
    assert ended.code == code
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_python_m_mlpcli_is_the_same_program():
    ended = subprocess.run([sys.executable, "-m", "mlpcli", "--version"], capture_output=True, check=True)
    assert ended.stdout.decode() == f"mlp {__version__}\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_quietly_with_141(folder, iris, unbuffered):
    big = folder / "big.csv"
    header, *rows = (DATA / "iris.csv").read_text().splitlines()
    big.write_text("\n".join([header, *rows * 200]) + "\n")
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with start("predict", iris, big, "--keep", "all", "--proba", env=environment) as process:
        assert process.stdout.readline().startswith(b"sepal_length")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_a_closed_pipe_is_no_failed_gate_where_rich_writes(iris):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with start("inspect", iris, stdout=write_end) as process:
        os.close(write_end)
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_no_bug(iris):
    with open("/dev/full", "wb") as full, start("predict", iris, DATA / "iris.csv", stdout=full) as process:
        assert process.stderr.read() == (
            b"the output cannot be written: No space left on device. Choose another place for it.\n"
        )
        assert process.wait() == 2


def test_a_terminal_without_unicode_and_a_closed_output_are_no_bugs(iris):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with start("inspect", iris, env=environment) as process:
        text = process.stdout.read()
        assert process.wait() == 0
    assert text.isascii()
    assert b" -> " in text
    command = f'exec "{sys.executable}" -m mlpcli inspect "{iris}" >&-'
    assert subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False).returncode == 0


def test_sigint_outside_of_a_training_ends_with_130_and_no_traceback(iris):
    with start("predict", iris, "-") as process:
        # More than a pipe holds: once it is written, the program has started to read.
        process.stdin.write((DATA / "iris.csv").read_bytes() + b"5.1,3.5,1.4,0.2,setosa\n" * 4000)
        process.stdin.flush()
        for _ in range(50):  # Python may miss a signal that arrives just before a read that waits
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.2)
                break
        assert process.stdout.read() == b""
        assert process.stderr.read() == b"interrupted.\n"
        assert process.returncode == 130


HOSTILE = "\x1b[31mred\x07\x9b"


def test_hostile_names_never_reach_the_terminal_as_they_are(folder, iris):
    for ended in (
        mlp("train", f"{HOSTILE}.yaml"),
        mlp("inspect", f"{HOSTILE}.npz"),
        mlp("predict", iris, f"{HOSTILE}.csv"),
        mlp("eval", iris, DATA / "iris.csv", "--min", f"{HOSTILE}=1"),
        mlp("init", DATA / "iris.csv", "--target", HOSTILE),
        mlp(f"verb{HOSTILE}"),
        mlp("train", "c.yaml", "--set", HOSTILE),
    ):
        assert ended.code == 2
        assert_harmless(ended.stderr)


def test_hostile_cells_and_column_names_are_escaped_wherever_they_are_shown(folder):
    rows = [(i / 7, HOSTILE if i % 3 else "plain", f"{HOSTILE}{i % 2}") for i in range(40)]
    write_csv(folder / "t.csv", ["x", f"c{HOSTILE}", "label"], rows)
    ended = done("init", "t.csv", "--target", "label", "-o", "t.yaml")
    assert_harmless(ended.stderr)
    assert_harmless((folder / "t.yaml").read_text())
    weights = "runs/t/weights.npz"
    (folder / "new.csv").write_text(f"x,c{HOSTILE},label\n1,other,{HOSTILE}0\n,plain,{HOSTILE}1\n", "utf-8")
    (folder / "bad.csv").write_text(f"x,c{HOSTILE},label\n{HOSTILE},plain,{HOSTILE}0\n", "utf-8")
    (folder / "unknown.csv").write_text(f"x,c{HOSTILE},label\n1,plain,{HOSTILE}7\n", "utf-8")
    for arguments, code in (
        (["check", "t.yaml"], 0),
        (["check", "t.yaml", "--json"], 0),
        (["train", "t.yaml", "--set", "training.epochs=1"], 0),
        (["inspect", weights], 0),
        (["inspect", weights, "--json"], 0),
        (["eval", weights, "new.csv"], 0),
        (["eval", weights, "new.csv", "--json"], 0),
        (["eval", weights, "new.csv", "--min", f"f1[{HOSTILE}0].low=1"], 1),
        (["eval", weights, "unknown.csv"], 2),
        (["predict", weights, "bad.csv"], 2),
        (["predict", weights, DATA / "iris.csv"], 2),
    ):
        ended = mlp(*arguments)
        assert ended.code == code, ended
        assert_harmless(ended.stdout)
        assert_harmless(ended.stderr)
    ended = done("predict", weights, "new.csv")
    assert_harmless(ended.stderr)
    assert "unseen" in ended.stderr
    # The answers are data, in the user's own words.
    assert {row["label"] for row in ended.rows} <= {f"{HOSTILE}0", f"{HOSTILE}1"}


def assert_harmless(text):
    assert all(character.isprintable() or character == "\n" for character in text), repr(text)


def test_the_exit_codes_are_those_that_are_documented():
    assert (main.BUG, main.INTERRUPTED, main.CLOSED_PIPE) == (70, 130, 141)
