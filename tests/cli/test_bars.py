"""What is shown of long work: a bar on a terminal, sparse lines elsewhere, nothing of what is short."""

import gzip
import io
import re
from contextlib import contextmanager, redirect_stderr
from threading import Event, active_count

import numpy as np
import pandas as pd
import pytest

from mlpcli.cli.progress import bars
from mlpcli.cli.progress.bars import (
    FEWEST_SECONDS,
    FIRST_PLAIN_SECONDS,
    PLAIN_SECONDS,
    WorkView,
    show_progress,
    ticking,
)
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.data.reading.read import read_table
from mlpcli.progress import Progress, has_listeners, listening, report_progress
from tests.program import DATA, done, train, write_config, write_csv


class Clock:
    """A clock that goes on when told."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bars, "monotonic", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


@contextmanager
def working(terminal, then="preparing", is_quiet=False):
    with redirect_stderr(terminal), show_progress(Screen(is_quiet), then):
        yield


def drawn(terminal):
    """The texts that stood on the last line, one after the other; "" where it was taken away."""
    texts = re.split(r"(?:\x1b\[[0-9;?]*[A-Za-z]|[\r\n])+", terminal.getvalue())
    return [text for text, before in zip(texts, ["", *texts], strict=False) if text != before]


def test_reading_shows_percent_amount_rate_and_time_left(clock, terminal):
    with working(terminal):
        report_progress("bytes", "/data/big.csv", 0, 240_000_000)
        clock.now += 2
        report_progress("bytes", "/data/big.csv", 120_000_000, 240_000_000)
    shown, cleared = drawn(terminal)
    assert shown.split() == [
        *(
            "reading",
            "big.csv",
            "━━━━━━━───────",
            "50%",
            "0:00:02",
            "left",
            "120",
            "MB",
            "of",
            "240",
            "MB",
            "60",
            "MB/s",
        ),
    ]
    assert cleared == ""


def test_what_takes_no_time_is_not_shown(clock, terminal):
    with working(terminal):
        report_progress("bytes", "big.csv", 0, 100)
        clock.now += FEWEST_SECONDS / 2
        report_progress("bytes", "big.csv", 50, 100)
        report_progress("bytes", "big.csv", 100, 100)
    assert terminal.getvalue() == ""


def test_after_a_long_reading_the_line_says_what_goes_on(clock, terminal):
    with working(terminal, "scoring"):
        report_progress("bytes", "big.csv", 0, 100)
        for done in (50, 100):
            clock.now += 2
            report_progress("bytes", "big.csv", done, 100)
        clock.now += 1
        report_progress("stage", "predicting", 0)
        clock.now += 3
        report_progress("stage", "scoring by sex", 0, 4)
        clock.now += 2
        report_progress("stage", "scoring by sex", 2, 4)
    shown = [" ".join(text.split()) for text in drawn(terminal)]
    assert shown[1:] == [
        "scoring 0:00:00",
        "predicting 0:00:00",
        "scoring by sex ──────────────────────── 0% 0:00:00",
        "scoring by sex ━━━━━━━━━━━━──────────── 50% 0:00:02 left",
        "",
    ]


def test_a_silent_stage_shows_for_how_long_it_goes_on_and_nothing_once_it_has_ended(clock, terminal):
    with redirect_stderr(terminal):
        view = WorkView(Screen(is_quiet=False), "preparing")
        view.tick()
        view(Progress("stage", "compiling", 0))
        view.tick()
        assert terminal.getvalue() == ""
        for _ in range(2):
            clock.now += 4
            view.tick()
        view.ended()
        clock.now += 4
        view.tick()
    assert drawn(terminal) == ["compiling  0:00:04", "compiling  0:00:08", ""]


def test_a_thread_ticks_until_the_block_ends():
    ticked = Event()
    n_threads = active_count()
    with ticking(ticked.set, 0.001):
        assert ticked.wait(60)
    assert active_count() == n_threads


def test_where_it_is_no_terminal_a_silent_stage_has_its_lines_too(clock, capsys):
    view = WorkView(Screen(is_quiet=False), "preparing")
    view(Progress("stage", "scoring", 0))
    for _ in range(99):
        clock.now += 1
        view.tick()
    assert capsys.readouterr().err.splitlines() == ["scoring   0:00:10", "scoring   0:00:40", "scoring   0:01:10"]


def test_answers_are_counted_and_timed_by_the_bytes_that_are_read(clock, terminal):
    with working(terminal):
        report_progress("bytes", "new.csv", 0, 1000)
        clock.now += 10
        report_progress("bytes", "new.csv", 250, 1000)
        clock.now += 1
        report_progress("rows", "new.csv", 22_000)
    shown = drawn(terminal)[-2].split()
    assert shown[0] == "predicting"
    assert shown[2:] == ["25%", "0:00:33", "left", "22", "000", "rows", "2000", "rows/s"]


def test_of_a_pipe_the_amount_is_shown_without_a_bar_to_fill(clock, terminal):
    with working(terminal):
        report_progress("bytes", "standard input", 0)
        clock.now += 2
        report_progress("bytes", "standard input", 5_000_000)
    assert drawn(terminal)[0].split() == ["reading", "standard", "input", "5.0", "MB", "2.5", "MB/s"]


def test_where_it_is_no_terminal_there_are_sparse_lines(clock, capsys):
    view = WorkView(Screen(is_quiet=False), "preparing")
    with listening(view):
        for second in range(100):
            report_progress("bytes", "big.csv", second, 100)
            clock.now += 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 + (99 - int(FIRST_PLAIN_SECONDS)) // int(PLAIN_SECONDS)
    assert lines[0] == "reading   big.csv   10%, 0:01:30 left, 10 bytes of 100 bytes, 1 bytes/s"


def test_quiet_is_quiet(clock, terminal):
    with working(terminal, is_quiet=True):
        report_progress("bytes", "big.csv", 0, 100)
        clock.now += 60
        report_progress("bytes", "big.csv", 50, 100)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl"])
def test_reading_tells_how_many_bytes_of_a_file_are_read_up_to_the_last(folder, ending):
    rows = [(i, f"{i * 0.1:.3f}") for i in range(40_000)]
    path = write_csv(folder / "t.csv", ["a", "b"], rows)
    if ending == "csv.gz":
        (folder / "t.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    if ending == "jsonl":
        (folder / "t.jsonl").write_text("".join(f'{{"a": {a}, "b": {b}}}\n' for a, b in rows))
    reports: list[Progress] = []
    with listening(reports.append):
        read_table(f"t.{ending}")
    size = (folder / f"t.{ending}").stat().st_size
    assert {work.total for work in reports} == {size}
    amounts = [work.done for work in reports]
    assert max(amounts) == amounts[-1] == size
    assert not has_listeners()


@pytest.mark.parametrize("ending", ["parquet", "feather", "xlsx"])
def test_reading_typed_files_tells_rows_or_bytes_up_to_the_last(folder, ending, monkeypatch):
    for module in ("columns", "excel"):
        monkeypatch.setattr(f"mlpcli.data.reading.typed.{module}.BATCH_ROWS", 100)
    frame = pd.DataFrame({"a": np.arange(1000), "b": np.arange(1000) * 0.5})
    if ending == "parquet":
        frame.to_parquet("t.parquet")
    elif ending == "feather":
        frame.to_feather("t.feather", chunksize=100)
    else:
        frame.to_excel("t.xlsx", index=False)
    reports: list[Progress] = []
    with listening(reports.append):
        read_table(f"t.{ending}")
    size = (folder / f"t.{ending}").stat().st_size
    kind, total = ("bytes", size) if ending == "feather" else ("rows read", 1000)
    assert {work.total for work in reports if work.kind == kind} == {total}
    amounts = [work.done for work in reports if work.kind == kind]
    assert len({amount for amount in amounts if 0 < amount < total}) >= (1 if ending == "feather" else 9)
    assert amounts[-1] == total


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_a_training_tells_every_epoch_from_its_first_step_to_its_last(folder, engine):
    if engine == "compiled":
        pytest.importorskip("numba")
    reports: list[Progress] = []
    data = {"train": str(DATA / "iris.csv"), "target": "species", "validation": 0.2}
    with listening(reports.append):
        train(folder, data, {"epochs": 3, "batch_size": 8, "engine": engine}, model={"members": 2})
    steps = [work for work in reports if work.kind == "steps"]
    assert {work.total for work in steps} == {2 * 15}
    fractions = np.array([work.done for work in steps])
    assert fractions.min() == 0
    assert fractions.max() < 30  # told before each step
    assert (fractions == 0).sum() >= 3  # every epoch begins at 0
    # The compiled engine is polled: a busy machine may miss all steps of an epoch but the first.
    assert (np.diff(fractions) < 0).sum() == 2 if engine == "numpy" else (np.diff(fractions) < 0).sum() <= 2


@pytest.mark.parametrize(
    ("command", "stages"),
    [
        (["eval", "{model}", "{data}", "--by", "species"], ["predicting", "scoring", "scoring by species"]),
        (["compare", "{model}", "{model}", "{data}"], ["predicting", "comparing"]),
        (["explain", "{model}", "{data}", "--repeats", "2"], ["shuffling"]),
        (["train", "c.yaml"], ["scoring"]),
    ],
)
def test_what_a_verb_does_after_the_reading_is_told(iris, folder, command, stages):
    write_config(folder / "c.yaml", {"train": str(DATA / "iris.csv"), "target": "species"})
    reports: list[Progress] = []
    with listening(reports.append):
        done(*(word.format(model=iris, data=DATA / "iris.csv") for word in command))
    assert list(dict.fromkeys(work.name for work in reports if work.kind == "stage")) == stages


def test_predicting_tells_its_rows(iris):
    reports: list[Progress] = []
    with listening(reports.append):
        done("predict", iris, DATA / "iris.csv")
    assert [work.done for work in reports if work.kind == "rows"][-1] == 150
