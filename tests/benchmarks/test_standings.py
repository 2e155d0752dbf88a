import math

import pytest

from benchmarks.quality.standings import (
    average_ranks,
    better_shares,
    complete,
    field_errors,
    mean_relative_errors,
    mean_time_ratios,
    rank_intervals,
    ranks,
    spread_over_seeds,
    win_shares,
)


def run(dataset, contestant, seed=0, seconds=1.0, **scores):
    return {
        "dataset": dataset,
        "contestant": contestant,
        "seed": seed,
        "n_test": 100,
        "cpu_seconds": seconds,
        "scores": scores,
    }


ERRORS = {
    ("flowers", "accuracy"): {"a": 0.1, "b": 0.2},
    ("flowers", "log_loss"): {"a": 0.8, "b": 0.4},
    ("houses", "rmse"): {"a": 3.0, "b": 6.0},
}


def test_equal_errors_share_the_mean_of_their_places():
    assert ranks({"a": 2.0, "b": 1.0, "c": 2.0, "d": 5.0}) == {"b": 1.0, "a": 2.5, "c": 2.5, "d": 4.0}


def test_each_dataset_weighs_the_same_in_ranks_wins_and_shares():
    assert average_ranks(ERRORS) == {"a": 1.25, "b": 1.75}
    assert win_shares(ERRORS) == {"a": 0.75, "b": 0.25}
    assert better_shares(ERRORS, "b") == {"a": 0.75, "b": 0.5}


def test_the_interval_of_an_average_rank_holds_it_and_has_no_width_where_all_datasets_agree():
    ends = rank_intervals(ERRORS)
    for name, place in average_ranks(ERRORS).items():
        assert ends[name][0] <= place <= ends[name][1]
    assert ends["a"] == (1.0, 1.5)  # houses alone, or flowers alone, is drawn twice in a quarter of the replicates
    agreed = {(f"d{number}", "rmse"): {"a": 1.0, "b": 2.0} for number in range(4)}
    assert rank_intervals(agreed) == {"a": (1.0, 1.0), "b": (2.0, 2.0)}


def test_equals_share_a_win():
    assert win_shares({("houses", "rmse"): {"a": 1.0, "b": 1.0, "c": 2.0}}) == {"a": 0.5, "b": 0.5, "c": 0.0}


def test_relative_errors_are_averaged_as_ratios():
    found = mean_relative_errors(ERRORS, "b")
    assert found["b"] == 1.0
    assert found["a"] == pytest.approx(math.sqrt(math.sqrt(0.5 * 2.0) * 0.5))


def test_an_accuracy_becomes_the_share_of_wrong_answers_averaged_over_seeds():
    runs = [
        run("flowers", "a", 0, accuracy=0.9, log_loss=0.3, ece=0.1),
        run("flowers", "a", 1, accuracy=0.8, log_loss=0.5),
    ]
    found = field_errors(runs)
    assert found["flowers", "accuracy"]["a"] == pytest.approx(0.15)
    assert found["flowers", "log_loss"]["a"] == pytest.approx(0.4)
    assert ("flowers", "ece") not in found


def test_a_perfect_score_counts_as_half_a_wrong_row():
    assert field_errors([run("flowers", "a", accuracy=1.0)])["flowers", "accuracy"]["a"] == 0.005


def test_a_dataset_counts_only_where_every_contestant_was_measured():
    runs = [run("houses", "a", rmse=1.0), run("houses", "b", rmse=2.0), run("boats", "a", rmse=1.0)]
    kept, left_out = complete(field_errors(runs), ["a", "b"])
    assert kept == {("houses", "rmse"): {"a": 1.0, "b": 2.0}}
    assert left_out == ["boats"]


def test_times_are_compared_on_the_counted_datasets_only():
    runs = [run("houses", "a", seconds=2.0), run("houses", "b", seconds=8.0), run("boats", "a", seconds=100.0)]
    assert mean_time_ratios(runs, ["houses"], "b") == pytest.approx({"a": 0.25, "b": 1.0})


def test_the_spread_over_seeds_needs_two_complete_seeds():
    runs = [
        run("houses", name, seed, rmse=error) for seed, name, error in ((0, "a", 1.0), (0, "b", 2.0), (1, "a", 2.0))
    ]
    assert spread_over_seeds(runs, ["a", "b"], "b") == {}
    found = spread_over_seeds([*runs, run("houses", "b", 1, rmse=2.0)], ["a", "b"], "b")
    assert found == pytest.approx({"a": math.sqrt(0.125), "b": 0.0})
