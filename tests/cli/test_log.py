"""`--log FILE` and `-v`: what a job did, for whoever was not there."""

import json
import time
from datetime import datetime, timedelta

import pytest

from mlpcli.cli import job_log
from tests.program import DATA, done, mlp, start, write_config

IRIS = {"train": str(DATA / "iris.csv"), "target": "species"}


@pytest.fixture
def config(folder):
    return write_config(folder / "iris.yaml", IRIS)


def events(folder):
    return [json.loads(line) for line in (folder / "job.log").read_text().splitlines()]


def test_a_training_notes_start_reading_epochs_result_and_end(folder, config):
    ended = done("train", config, "--log", "job.log", "--quiet", "--json")
    found = [one for one in events(folder) if one["event"] != "warning"]
    assert [one["event"] for one in found] == ["start", "reading", "prepared", "epoch", "epoch", "trained", "end"]
    assert ended.stderr == ""
    start_, reading, prepared, _, epoch, trained, end = found
    assert (start_["verb"], start_["config"]) == ("train", str(config))
    assert reading["train"] == [IRIS["train"]]
    assert prepared["rows"] == {"train": 120, "validation": 30}
    assert (epoch["epoch"], epoch["epochs"], epoch["metric"]) == (2, 2, "log_loss")
    metrics = ended.document["metrics"]
    assert {key: trained[key] for key in ended.document} == ended.document
    assert trained["metrics"]["best_epoch"] == epoch["best_epoch"] == metrics["best_epoch"]
    assert end["exit_code"] == 0
    assert 0 < end["seconds"] < 60


def test_every_line_has_a_time_in_utc_and_the_process_in_order(folder, config):
    done("train", config, "--log", "job.log", "-q")
    times = [datetime.fromisoformat(one["time"]) for one in events(folder)]
    assert times == sorted(times)
    assert all(time.utcoffset() == timedelta(0) for time in times)
    assert len({one["pid"] for one in events(folder)}) == 1


def test_jobs_append_to_one_file_and_the_next_job_without_a_log_writes_nothing(folder, config):
    for _ in range(2):
        done("train", config, "--log", "job.log", "-q")
    before = events(folder)
    assert [one["event"] for one in before].count("end") == 2
    done("train", config, "-q")
    assert events(folder) == before


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--set", "training.epochs=0"], 2, "training.epochs"),
        (["--set", "data.train=none.csv"], 2, "none.csv: no such file."),
        (["--set", "expect.max={log_loss: 0.0}"], 1, "1 of 1 gate missed"),
        (["--set", "training.optimizer.learning_rate=1e30"], 3, "training diverged"),
    ],
)
def test_errors_and_exit_codes_are_noted(folder, config, options, code, text):
    ended = mlp("train", config, "--log", "job.log", *options)
    assert ended.code == code
    *_, error, end = events(folder)
    assert (error["event"], end["event"], end["exit_code"]) == ("error", "end", code)
    assert text in error["text"]
    assert error["text"] in " ".join(ended.stderr.split("\n"))


def test_warnings_are_noted_though_the_terminal_is_quiet(folder, config):
    done("train", config, "--log", "job.log", "-q")
    done("train", config, "--log", "job.log", "-q", "--set", "training.seed=1")
    warnings = [one["text"] for one in events(folder) if one["event"] == "warning"]
    assert "the run of another config that was in runs/iris is now runs/iris.1." in warnings


def test_a_log_that_cannot_be_written_ends_the_job_before_it_begins(folder, config):
    ended = mlp("train", config, "--log", "no/where.log")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("no/where.log: cannot be written")
    assert not (folder / "runs").exists()


def test_a_disk_that_fills_up_ends_the_log_and_not_the_job(folder, config, monkeypatch):
    real, written = job_log.os.write, []

    def full(descriptor, data):
        written.append(data)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(job_log, "os", FakeSystem(full))
    ended = done("train", config, "--log", "job.log")
    assert ended.stderr.count("note  the log job.log is incomplete: No space left on device") == 1
    assert len(events(folder)) == 3


class FakeSystem:
    """The module os with another `write`."""

    def __init__(self, write):
        self.write = write

    def __getattr__(self, name):
        import os

        return getattr(os, name)


def test_an_interrupted_job_notes_its_exit_code_and_a_killed_one_has_no_end(folder, config):
    for stop, code in (("terminate", 143), ("kill", None)):
        (folder / "job.log").unlink(missing_ok=True)
        with start("train", config, "--log", "job.log", "--set", "training.epochs=1000000") as process:
            while not (folder / "job.log").exists() or "epoch" not in (folder / "job.log").read_text():
                assert process.poll() is None
                time.sleep(0.02)
            getattr(process, stop)()
            process.communicate(timeout=60)
        found = events(folder)
        assert [one["exit_code"] for one in found if one["event"] == "end"] == ([code] if code else [])


def test_eval_and_predict_have_a_log_too(folder, iris):
    done("eval", iris, IRIS["train"], "--log", "job.log")
    done("predict", iris, IRIS["train"], "--log", "job.log")
    assert [(one["event"], one.get("rows")) for one in events(folder) if one["event"] != "warning"] == [
        ("start", None), ("scored", 150), ("end", None), ("start", None), ("predicted", 150), ("end", None),
    ]  # fmt: skip


def test_verbose_says_every_epoch_with_rate_and_time(config):
    options = ("train", config, "--set", "training.epochs=25")
    plain, verbose = (
        [line for line in done(*options, *more).stderr.splitlines() if line.startswith("epoch")]
        for more in ([], ["-v"])
    )
    assert len(plain) < len(verbose) == 25
    assert all("rate 0.05" in line and line.endswith(" s") for line in verbose)
