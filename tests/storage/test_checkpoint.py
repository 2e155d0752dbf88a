"""checkpoint.npz: where a training stands."""

from dataclasses import replace

import numpy as np
import pytest

from mlpcli.errors import ModelFileError
from mlpcli.nn.averaging import ExponentialAverage
from mlpcli.nn.optimizers import SGD, Adam
from mlpcli.nn.steps import UpdateSpec
from mlpcli.storage.model.model_record import Sitting
from mlpcli.storage.npz import encode_npz, read_npz
from mlpcli.storage.run.checkpoint import Checkpoint, encode_checkpoint, load_checkpoint
from mlpcli.training.fit import init_training
from mlpcli.training.member import Member
from tests.training.staging import SPEC, network

ADAM = Adam()
SITTINGS = (Sitting(3, "numpy", 1, {"numpy": "2.0"}), Sitting(7, "compiled", 2, {"numpy": "2.0", "numba": "0.60"}))


def fresh(n_in=2, dtype=np.float32, optimizer=ADAM, n_members=2):
    """A training of members before its first step."""
    spec = replace(SPEC, update=UpdateSpec(optimizer=optimizer, averaging=ExponentialAverage()))
    members = [Member(number, network(number + 2, n_in=n_in), 50) for number in range(n_members)]
    return init_training(members, spec, np.dtype(dtype))


def state():
    training_state = fresh()
    training_state.epoch, training_state.best_epoch, training_state.best_score = 7, 4, 0.25
    for number, member in enumerate(training_state.members):
        member.n_steps = 30 + number
        for values in member.optimizer.values():
            values[...] = number + 0.5
        training_state.best[number][...] = 9
    return training_state


def written(tmp_path, of):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(encode_checkpoint(Checkpoint(of, {"training": {"seed": 1}}, {"train": "abc"}, 2.5, SITTINGS)))
    return str(path)


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path):
    before = state()
    checkpoint = load_checkpoint(written(tmp_path, before), fresh())
    after = checkpoint.state
    assert (after.epoch, after.best_epoch, after.best_score) == (7, 4, 0.25)
    for one, other in zip(before.members, after.members, strict=True):
        assert other.flat.tobytes() == one.flat.tobytes()
        assert other.n_steps == one.n_steps
        assert {name: values.tobytes() for name, values in other.optimizer.items()} == {
            name: values.tobytes() for name, values in one.optimizer.items()
        }
    assert [best.tobytes() for best in after.best] == [best.tobytes() for best in before.best]
    assert (checkpoint.config, checkpoint.data_sha256) == ({"training": {"seed": 1}}, {"train": "abc"})
    assert (checkpoint.seconds, checkpoint.sittings) == (2.5, SITTINGS)


def test_a_checkpoint_of_another_network_or_optimizer_is_refused(tmp_path):
    path = written(tmp_path, state())
    for other in (fresh(n_in=3), fresh(optimizer=SGD()), fresh(dtype=np.float64), fresh(n_members=1)):
        with pytest.raises(ModelFileError, match="does not fit the config, or is damaged"):
            load_checkpoint(path, other)


@pytest.mark.parametrize("where", ["flat", "best", "average", "square_sum"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_and_optimizer_states_that_are_not_finite_are_refused(tmp_path, where, value):
    broken = state()
    member = broken.members[1]
    (member.optimizer | {"flat": member.flat, "best": broken.best[1]})[where][2] = value
    with pytest.raises(ModelFileError, match="holds numbers that are not finite"):
        load_checkpoint(written(tmp_path, broken), fresh())


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": -1},
        {"epoch": 6},
        {"epoch": 10**4000},
        {"best_epoch": 8},
        {"best_epoch": -1},
        {"best_epoch": 0},
        {"best_score": float(10**300)} | {"best_epoch": 0},
        {"n_steps": [30]},
        {"n_steps": [30, 31, 32]},
        {"n_steps": [30, -1]},
        {"n_steps": [30, 10**30]},
        {"seconds": -1.0},
        {"sittings": []},
        {"sittings": [{"epoch": 8, "engine": "numpy", "threads": 1, "versions": {}}]},
        {"sittings": [{"epoch": 7, "engine": "numpy", "threads": 0, "versions": {}}]},
    ],
)
def test_a_header_out_of_its_bounds_is_one_sentence(tmp_path, changes):
    path = written(tmp_path, state())
    header, arrays = read_npz(path, "checkpoint")
    (tmp_path / "checkpoint.npz").write_bytes(encode_npz(arrays, header | changes))
    with pytest.raises(ModelFileError) as caught:
        load_checkpoint(path, fresh())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["m1.flat", "m2.best", "m1.optimizer_square_sum"])
@pytest.mark.parametrize("change", [lambda a: a[:-1], lambda a: np.append(a, a[:1]), lambda a: a.reshape(1, -1)])
def test_an_array_of_another_length_is_refused(tmp_path, name, change):
    path = written(tmp_path, state())
    header, arrays = read_npz(path, "checkpoint")
    arrays[name] = change(arrays[name])
    (tmp_path / "checkpoint.npz").write_bytes(encode_npz(arrays, header))
    with pytest.raises(ModelFileError, match="does not fit the config, or is damaged"):
        load_checkpoint(path, fresh())


def test_a_first_epoch_without_a_score_comes_back(tmp_path):
    before = state()
    before.best_epoch, before.best_score = 0, None
    assert load_checkpoint(written(tmp_path, before), state()).state.best_score is None
