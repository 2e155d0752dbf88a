"""The learning rate over training: known points, warm-up, and bounds that hold everywhere."""

from math import cos, pi
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.nn.schedules import (
    Constant,
    Cosine,
    CosLog,
    Exponential,
    FlatCos,
    OneCycle,
    Schedule,
    Step,
    plateau_ends,
    schedule_factor,
)

SCHEDULES = [schedule for schedule in get_args(Schedule) if schedule is not CosLog]  # those that can warm up
WARMUP = st.floats(0, 50)
SHARE = st.floats(0.01, 1.0)
ANY_SCHEDULE = st.one_of(
    st.builds(Constant, warmup=WARMUP),
    st.builds(Step, every=st.integers(1, 40), gamma=SHARE, warmup=WARMUP),
    st.builds(Exponential, gamma=SHARE, warmup=WARMUP),
    st.builds(Cosine, final=st.floats(0, 1), warmup=WARMUP),
    st.builds(OneCycle, peak=st.floats(0.01, 0.99), start=SHARE, final=st.floats(0, 1), warmup=WARMUP),
    st.builds(FlatCos, flat=st.floats(0, 0.99), warmup=WARMUP),
    st.builds(CosLog, cycles=st.integers(1, 16)),
)


@pytest.mark.parametrize(
    ("schedule", "epoch", "expected"),
    [
        (Constant(), 0.0, 1.0),
        (Constant(), 99.9, 1.0),
        (Step(every=30, gamma=0.1), 29.99, 1.0),
        (Step(every=30, gamma=0.1), 30.0, 0.1),
        (Step(every=30, gamma=0.1), 60.0, 0.01),
        (Exponential(gamma=0.5), 0.0, 1.0),
        (Exponential(gamma=0.5), 1.0, 0.5),
        (Exponential(gamma=0.5), 2.5, 0.5**2.5),
        (Cosine(), 0.0, 1.0),
        (Cosine(), 25.0, 0.5 * (1 + cos(pi / 4))),
        (Cosine(), 50.0, 0.5),
        (Cosine(), 100.0, 0.0),
        (Cosine(final=0.2), 50.0, 0.6),
        (Cosine(final=0.2), 100.0, 0.2),
        (OneCycle(), 0.0, 0.04),
        (OneCycle(), 15.0, 0.52),
        (OneCycle(), 30.0, 1.0),
        (OneCycle(final=0.0), 65.0, 0.5),
        (OneCycle(), 100.0, 0.0001),
        (FlatCos(), 0.0, 1.0),
        (FlatCos(), 50.0, 1.0),
        (FlatCos(), 75.0, 0.5),
        (FlatCos(), 100.0, 0.0),
        (FlatCos(flat=0.2), 60.0, 0.5),
        (FlatCos(flat=0.0), 25.0, 0.5 * (1 + cos(pi / 4))),
        (CosLog(), 0.0, 0.0),
        (CosLog(), 100 / 15, 0.0),
        (CosLog(), 300 / 15, 0.0),
        (CosLog(), 700 / 15, 0.0),
        (CosLog(), 100.0, 0.0),
        (CosLog(cycles=1), 100 * (2**0.5 - 1), 1.0),
        (CosLog(cycles=2), 100 / 3, 0.0),
    ],
)
def test_a_schedule_passes_through_its_known_points(schedule, epoch, expected):
    assert schedule_factor(schedule, epoch, 100) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("peak", [0.027614, 0.121895, 0.310457, 0.687581])
def test_coslog_peaks_where_its_authors_say(peak):
    assert schedule_factor(CosLog(), 256 * peak, 256) == pytest.approx(1.0, abs=1e-8)


def test_each_cycle_of_coslog_is_twice_as_long_as_the_one_before():
    ends = (0.0, *plateau_ends(CosLog(cycles=5), 310))
    assert ends == pytest.approx((0.0, 10.0, 30.0, 70.0, 150.0, 310.0))


@pytest.mark.parametrize(
    "schedule",
    [CosLog(), CosLog(cycles=2), FlatCos(), FlatCos(warmup=7.0), OneCycle(warmup=10.0), Step(every=7, warmup=3.0)],
    ids=str,
)
def test_a_stretch_ends_where_the_rate_begins_to_fall_or_a_cycle_begins_anew(schedule):
    """Just before, it is at a top or bottom; on the other side it moves away from there."""
    ends = plateau_ends(schedule, 100)
    assert ends
    for end in ends:
        at, after = schedule_factor(schedule, end - 1e-6, 100), schedule_factor(schedule, end + 1.0, 100)
        if schedule.name == "coslog":
            assert at == pytest.approx(0.0, abs=1e-6)
            assert after > at or end == pytest.approx(100.0)
        else:
            assert after < at


@pytest.mark.parametrize("schedule", [Constant(), Exponential(), Cosine(), FlatCos(warmup=100.0)], ids=str)
def test_a_rate_that_never_stalls_has_no_stretches(schedule):
    assert plateau_ends(schedule, 100) == ()


@pytest.mark.parametrize("schedule", [Constant, Step, Exponential, Cosine, FlatCos])
def test_a_warm_up_rises_in_a_line_from_zero_to_the_full_rate(schedule):
    warm = schedule(warmup=4.0)
    assert [schedule_factor(warm, epoch, 100) for epoch in (0.0, 1.0, 2.0, 3.0)] == [0.0, 0.25, 0.5, 0.75]
    assert schedule_factor(warm, 4.0, 100) == 1.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_does_not_jump_where_the_warm_up_ends(schedule):
    warm = schedule(warmup=5.0)
    assert schedule_factor(warm, 5.0 - 1e-9, 100) == pytest.approx(schedule_factor(warm, 5.0 + 1e-9, 100), abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_after_the_warm_up_the_course_spans_the_epochs_that_remain(schedule):
    for epoch in (0.0, 3.5, 40.0, 80.0):
        warm, cold = schedule(warmup=20.0), schedule()
        assert schedule_factor(warm, 20.0 + epoch, 100) == pytest.approx(schedule_factor(cold, epoch, 80))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_longer_than_the_training_only_rises(schedule):
    factors = [schedule_factor(schedule(warmup=50.0), epoch, 10) for epoch in range(11)]
    assert factors == sorted(factors)
    assert factors[0] == 0.0
    assert factors[10] <= 0.2


@given(ANY_SCHEDULE, st.integers(1, 200), st.floats(0, 1))
def test_the_factor_is_a_share(schedule, epochs, progress):
    assert 0.0 <= schedule_factor(schedule, progress * epochs, epochs) <= 1.0


@given(
    ANY_SCHEDULE.filter(lambda schedule: schedule.name not in ("one_cycle", "coslog")), st.floats(0, 1), st.floats(0, 1)
)
def test_without_a_warm_up_the_rate_never_rises_except_in_one_cycle_and_coslog(schedule, earlier, later):
    cold = type(schedule)(**{**vars(schedule), "warmup": 0.0})
    first, second = sorted((earlier, later))
    assert schedule_factor(cold, 50 * first, 50) >= schedule_factor(cold, 50 * second, 50) - 1e-12
