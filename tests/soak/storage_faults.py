"""Disks that fail: at any byte of a file, at any call of a training, with any answer a system gives."""

import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest

from mlpcli.errors import OutputError
from mlpcli.storage.atomic import write_file
from mlpcli.storage.run.history import History
from tests.program import tree
from tests.soak.children import Nursery
from tests.soak.faults import Trouble
from tests.soak.staging import NEW_SEED, OLD_SEED, Stage, Theatre, check_message, check_whole, go_on

CODES = (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES, errno.EMFILE)


def fail_at_byte(folder: Path, data: bytes, k: int, code: int) -> None:
    """A whole-file write that takes k bytes and no more: the old file stays, nothing else is there."""
    path = folder / "a.npz"
    path.write_bytes(b"old")
    with mock.patch.object(os, "write", _limited(k, code)), pytest.raises(OutputError) as caught:
        write_file(str(path), data)
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert tree(folder) == {"a.npz": b"old"}


def fail_in_history(folder: Path, rows: Sequence[dict[str, float]], k: int, code: int) -> None:
    """A history whose row is cut off at byte k goes on, once it is rewound, as if nothing had been."""
    path, whole = folder / "history.csv", folder / "whole.csv"
    for name in (path, whole):
        name.unlink(missing_ok=True)
    history = History(str(path))
    with mock.patch.object(os, "write", _limited(k, code)), pytest.raises(OutputError) as caught:
        _append(history, rows)
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    n_whole = max(path.read_bytes().count(b"\n") - 1, 0)
    history.rewind(n_whole)
    undisturbed = History(str(whole))
    _append(undisturbed, rows)
    _append(history, rows[n_whole:])
    history.close()
    undisturbed.close()
    assert path.read_bytes() == whole.read_bytes()


def _append(history: History, rows: Sequence[dict[str, float]]) -> None:
    for row in rows:
        history.append(row)


def _limited(n_bytes: int, code: int) -> object:
    real, left = os.write, n_bytes

    def write(descriptor: int, data: bytes) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(code, os.strerror(code))
        written = real(descriptor, data[: min(left, len(data))])
        left -= written
        return written

    return write


def fail_at_call(theatre: Theatre, nursery: Nursery, has_old: bool, nth: int, code: int, is_lasting: bool) -> str:
    """A training whose nth call on the disk fails, and with `is_lasting` every write after it.

    Either it did not matter and the new run is complete, or it is refused in a sentence and the old one is there.
    """
    stage = theatre.stage(has_old)
    trouble = Trouble(nth, "fail", code, is_lasting)
    ending = nursery.mlp(stage.folder, *stage.command(), trouble=trouble)
    return _judged(stage, nursery, ending)


def vanish_at_call(theatre: Theatre, nursery: Nursery, nth: int, victim: str) -> str:
    """A training under which a folder is removed at its nth call on the disk."""
    stage = theatre.stage(has_old=False)
    trouble = Trouble(nth, "vanish", victim=str(stage.folder / victim))
    ending = nursery.mlp(stage.folder, *stage.command(), trouble=trouble)
    return _judged(stage, nursery, ending)


def _judged(stage: Stage, nursery: Nursery, ending: object) -> str:
    assert ending.code in (0, 2), ending
    found = check_whole(stage)
    if ending.code == 0:
        assert ending.stderr == ""
        # What vanished after the last step took the run with it; nobody can promise more.
        assert found in (NEW_SEED, 0), ending
    else:
        check_message(ending)
        assert any(words in ending.stderr for words in ("cannot be ", "not a run of mlp", "was removed")), ending
        # Only the very last sync may fail with the new run in its place already.
        assert found in (OLD_SEED if stage.has_old else 0, NEW_SEED), ending
    go_on(stage, nursery)
    return ending.stderr


def random_code(random: random.Random) -> int:
    """One of the answers of a failing disk."""
    return random.choice(CODES)
