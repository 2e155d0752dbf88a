"""checkpoint.npz: where a training stands."""

import numpy as np
import pytest

from mlpcli.errors import ModelFileError
from mlpcli.nn.optimizers import Adam
from mlpcli.storage.checkpoint import Checkpoint, encode_checkpoint, load_checkpoint
from mlpcli.training.state import start_state


def state(n=5):
    flat = np.linspace(-1, 1, n, dtype=np.float32)
    fresh = start_state(flat, Adam().start(flat))
    fresh.epoch, fresh.best_epoch, fresh.best_score = 7, 4, 0.25
    fresh.optimizer["step"] += 3
    fresh.best_flat[...] = 9
    return fresh


def written(tmp_path, of):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(encode_checkpoint(Checkpoint(of, {"training": {"seed": 1}}, {"train": "abc"}, 2.5)))
    return str(path)


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path):
    before = state()
    checkpoint = load_checkpoint(written(tmp_path, before), start_state(before.flat, Adam().start(before.flat)))
    after = checkpoint.state
    assert (after.epoch, after.best_epoch, after.best_score) == (7, 4, 0.25)
    assert after.flat.tobytes() == before.flat.tobytes()
    assert after.best_flat.tobytes() == before.best_flat.tobytes()
    assert {name: values.tobytes() for name, values in after.optimizer.items()} == {
        name: values.tobytes() for name, values in before.optimizer.items()
    }
    assert (checkpoint.config, checkpoint.data_sha256, checkpoint.seconds) == (
        {"training": {"seed": 1}}, {"train": "abc"}, 2.5
    )  # fmt: skip
    assert all(array.flags.writeable for array in (after.flat, after.best_flat, *after.optimizer.values()))


def test_a_checkpoint_of_another_network_or_optimizer_is_refused(tmp_path):
    path = written(tmp_path, state())
    flat = np.zeros(6, np.float32)
    for fresh in (
        start_state(flat, Adam().start(flat)),
        start_state(flat[:5], {}),
        start_state(flat[:5].astype(np.float64), Adam().start(flat[:5].astype(np.float64))),
    ):
        with pytest.raises(ModelFileError, match="does not fit the config, or is damaged"):
            load_checkpoint(path, fresh)


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path):
    broken = state()
    broken.flat[2] = np.nan
    with pytest.raises(ModelFileError, match="damaged"):
        load_checkpoint(written(tmp_path, broken), state())


def test_a_first_epoch_without_a_score_comes_back(tmp_path):
    before = state()
    before.best_epoch, before.best_score = 0, None
    assert load_checkpoint(written(tmp_path, before), state()).state.best_score is None
