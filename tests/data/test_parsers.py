import threading

import numpy as np
import pandas as pd
import pytest

from mlpcli.data.parsers import Parsers

OPTIONS = {"header": None, "names": ["a", "b"], "usecols": ["a", "b"], "index_col": False, "low_memory": False}


def test_a_parser_gives_of_each_block_what_a_new_one_gives():
    parsers = Parsers(OPTIONS)
    for text, n_rows in ((b"1,2.5\n3,4\n", 2), (b"x,1\n,2\n5,\n", 3), (b"7,8\n", 1), (b'"9,9\n9",10\n', 1)):
        frame = parsers.frame(text, n_rows, skips_blanks=False)
        assert list(frame.index) == list(range(n_rows))
        expected = [row.split(b",")[1] or b"nan" for row in text.replace(b'"9,9\n9"', b"9").splitlines()]
        np.testing.assert_array_equal(frame["b"].to_numpy(np.float64), [float(cell) for cell in expected])


def test_blanks_are_skipped_where_that_is_asked_for():
    frame = Parsers(OPTIONS).frame(b" 1, 2\n", 1, skips_blanks=True)
    assert frame.to_numpy().tolist() == [[1, 2]]


def test_a_block_that_cannot_be_parsed_does_not_spoil_the_next():
    parsers = Parsers(OPTIONS | {"dtype": float})
    assert parsers.frame(b"1,2\n", 1, skips_blanks=False)["b"].tolist() == [2.0]
    with pytest.raises(ValueError, match="could not convert"):
        parsers.frame(b"1,x\n", 1, skips_blanks=False)
    assert parsers.frame(b"3,4\n", 1, skips_blanks=False)["b"].tolist() == [4.0]


def test_threads_that_ask_at_a_time_get_each_its_own_rows():
    parsers = Parsers(OPTIONS)
    found: dict[int, list[pd.DataFrame]] = {number: [] for number in range(3)}

    def ask(number):
        for _ in range(20):
            found[number].append(parsers.frame(b"%d,0.5\n" % number * 50, 50, skips_blanks=False))

    threads = [threading.Thread(target=ask, args=(number,)) for number in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, frames in found.items():
        assert len(frames) == 20
        assert all((frame["a"] == number).all() and len(frame) == 50 for frame in frames)


def test_a_block_longer_than_what_pandas_reads_at_once_is_read_whole_even_where_it_cuts_a_letter():
    parsers = Parsers({**OPTIONS, "dtype": {"a": object}})
    row = "äöü,0.25\n".encode()
    for n_rows in (100_000, 3, 90_001):
        frame = parsers.frame(row * n_rows, n_rows, skips_blanks=False)
        assert len(frame) == n_rows
        assert (frame["a"] == "äöü").all()
        assert (frame["b"] == 0.25).all()
