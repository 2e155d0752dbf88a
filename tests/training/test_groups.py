"""Members in groups on threads: as many threads as one likes, the same bits."""

import time
from concurrent.futures import wait
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from mlpcli.nn.architecture import Front, Network, Periodic
from mlpcli.nn.averaging import ExponentialAverage
from mlpcli.nn.groups import Group
from mlpcli.nn.initialization import initialize_members
from mlpcli.nn.losses import CrossEntropy
from mlpcli.nn.optimizers import AdamW
from mlpcli.nn.parameters import view_parameters
from mlpcli.nn.rates import Rates
from mlpcli.nn.schedules import CosLog, FlatCos
from mlpcli.training import groups
from mlpcli.training.engine import NonFiniteLoss, Plan, start_optimizer
from mlpcli.training.groups import GroupedEngine, numpy_engine
from mlpcli.training.loop import fit
from mlpcli.training.members import draw_folds
from mlpcli.training.samples import Samples
from mlpcli.training.state import start_state
from mlpcli.training.streams import stream

FRONT = Front(
    is_scaled=True,
    periodic=Periodic(frequencies=4, outputs=2),
    numbers=(0, 1),
    bins=(2, 4),
    sees_cosines=(True, False, False, True, True, False),
)
NETWORK = Network((5, 16, 16, 3), "mish", "softmax", dropout=0.2, members=6, front=FRONT)
PLAN = Plan(
    CrossEntropy(), AdamW(learning_rate=0.02), CosLog(), batch_size=16, epochs=3, rates=Rates(scale=6.0), is_ntk=True,
    dropout_schedule=FlatCos(), averaging=ExponentialAverage(), member_rows="folds", gradient_clip=1.0,
)  # fmt: skip


def make_samples(n_rows=70):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 5)).astype(np.float32)
    weights = rng.uniform(0.5, 2.0, n_rows)
    return Samples(
        X, (X[:, 0] > 0).astype(int) + (X[:, 2] > 0.5), np.eye(3, dtype="f4"), (weights / weights.mean()).astype("f4")
    )


def fresh(network=NETWORK, plan=PLAN):
    rngs = [stream(plan.seed, "weights", member=member) for member in range(network.members)]
    parameters = initialize_members(network, "auto", rngs)
    return start_state(parameters.flat, start_optimizer(plan, parameters.flat))


def train(plan=PLAN, network=NETWORK, **more):
    state, samples = fresh(network, plan), make_samples()
    folds = draw_folds(3, samples.y, samples.n_rows, seed=0)
    return state, list(fit(network, plan, samples, state, samples, folds=folds, **more))


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_the_number_of_threads_does_not_change_a_bit(n_threads):
    one, reports = train()
    several, more_reports = train(replace(PLAN, n_threads=n_threads))
    assert one.flat.tobytes() == several.flat.tobytes()
    assert one.optimizer.keys() == several.optimizer.keys() >= {"mean", "square", "step", "average"}
    for name, values in one.optimizer.items():
        np.testing.assert_array_equal(several.optimizer[name], values)
    assert [replace(report, seconds=0.0) for report in more_reports] == [replace(r, seconds=0.0) for r in reports]


def test_a_group_of_members_trains_as_it_does_among_all():
    samples = make_samples()
    plan = replace(PLAN, member_rows="all")
    whole = numpy_engine(NETWORK, plan, samples)
    state = fresh(plan=plan)
    from_all = whole.run(view_parameters(NETWORK, state.flat), state.optimizer, 0, lambda: False)
    first = replace(NETWORK.part((0,)), members=1)
    alone = fresh(first, plan)
    from_first = numpy_engine(first, plan, samples).run(
        view_parameters(first, alone.flat), alone.optimizer, 0, lambda: False
    )
    assert from_all.losses[0] == from_first.losses[0]
    np.testing.assert_array_equal(Group(NETWORK, (0,)).take(state.flat), alone.flat)
    assert len(set(from_all.losses)) == NETWORK.members


@pytest.mark.parametrize("n_threads", [1, 2])
def test_steps_are_counted_over_all_groups_and_a_training_can_be_stopped_in_the_middle(n_threads):
    plan, samples, state = replace(PLAN, n_threads=n_threads), make_samples(), fresh()
    engine = numpy_engine(NETWORK, plan, samples, draw_folds(3, None, 70, seed=0))
    assert isinstance(engine, GroupedEngine)
    reports = fit(NETWORK, plan, samples, state, engine=engine, must_stop=lambda: engine.steps_taken >= 15)
    n_groups = 2 * n_threads
    assert engine.n_steps == n_groups * 3  # 46 rows in batches of 16
    assert len(list(reports)) == 15 // engine.n_steps
    assert state.epoch == 15 // engine.n_steps


def test_a_training_goes_on_from_a_copy_of_its_state_bit_for_bit():
    whole, _ = train()
    state, samples = fresh(), make_samples()
    folds = draw_folds(3, samples.y, samples.n_rows, seed=0)
    list(islice(fit(NETWORK, PLAN, samples, state, samples, folds=folds), 1))
    list(fit(NETWORK, replace(PLAN, n_threads=2), samples, state, samples, folds=folds))
    assert whole.flat.tobytes() == state.flat.tobytes()


@pytest.mark.parametrize("n_threads", [1, 2])
def test_one_diverging_group_ends_the_others_in_the_middle_of_their_epoch(n_threads):
    """One member's first weights are not finite; those beside it have an epoch of many steps before them."""
    plan = replace(PLAN, batch_size=1, member_rows="all", n_threads=n_threads)
    samples, state = make_samples(6000), fresh(plan=plan)
    view_parameters(NETWORK, state.flat).W[1][0] = np.nan
    engine = numpy_engine(NETWORK, plan, samples)
    with pytest.raises(NonFiniteLoss, match="training loss is not finite in epoch 1"):
        list(fit(NETWORK, plan, samples, state, engine=engine))
    taken = engine.steps_taken
    assert taken < engine.n_steps // 2
    time.sleep(0.05)
    assert engine.steps_taken == taken


def test_an_interrupt_ends_every_group(monkeypatch):
    plan = replace(PLAN, batch_size=1, member_rows="all", n_threads=2)
    samples, state = make_samples(6000), fresh(plan=plan)
    engine = numpy_engine(NETWORK, plan, samples)
    waits = []

    def interrupted(futures, return_when=groups.FIRST_EXCEPTION):
        waits.append(return_when)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(futures)

    monkeypatch.setattr(groups, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(fit(NETWORK, plan, samples, state, engine=engine))
    taken = engine.steps_taken
    assert taken < engine.n_steps // 2
    time.sleep(0.05)
    assert engine.steps_taken == taken
