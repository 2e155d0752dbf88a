"""Probabilities under a temperature."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, decode_outputs
from mlpcli.evaluation.metrics.scores import score
from mlpcli.probabilities import no_and_yes, tempered

shares = arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(2, 5)), elements=st.floats(0, 1)).map(
    lambda values: (values + np.eye(values.shape[1])[0]) / (values.sum(axis=1, keepdims=True) + 1)
)
temperatures = st.floats(0.05, 20)


@given(shares, temperatures)
def test_tempered_probabilities_are_probabilities_and_keep_the_most_probable(p, temperature):
    found = tempered(p, temperature)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    top = p.argmax(axis=1)[:, None]
    np.testing.assert_array_equal(np.take_along_axis(found, top, axis=1)[:, 0], found.max(axis=1))


@given(shares)
def test_temperature_1_changes_no_bit(p):
    assert tempered(p, 1.0) is p


def test_a_temperature_divides_the_logits():
    z = np.random.default_rng(0).normal(0, 4, (50, 3))
    softmax = [np.exp(of) / np.exp(of).sum(axis=1, keepdims=True) for of in (z, z / 2.5)]
    np.testing.assert_allclose(tempered(softmax[0], 2.5), softmax[1], rtol=1e-12)
    sigmoid = [1 / (1 + np.exp(-of)) for of in (z, z / 2.5)]
    target = BooleanTarget(
        tuple(ColumnSchema(name, "boolean", levels=("no", "yes")) for name in "abc"), ("text",) * len("abc")
    )
    state = {"temperature": np.array([2.5])}
    np.testing.assert_allclose(decode_outputs(target, state, sigmoid[0]), sigmoid[1], rtol=1e-9)
    one_output = decode_outputs(ClassTarget(ColumnSchema("y", "category"), ("n", "y")), state, sigmoid[0][:, :1])
    np.testing.assert_allclose(one_output, no_and_yes(sigmoid[1][:, 0]), rtol=1e-9)


@given(temperatures)
def test_0_and_1_stay_what_they_are(temperature):
    p = np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [1e-320, 1.0, 0.0]])
    found = tempered(p, temperature)
    assert found[:2].tolist() == p[:2].tolist()
    assert np.isfinite(found).all()


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 20))
def test_the_ranks_of_two_classes_do_not_depend_on_the_temperature(seed, temperature):
    rng = np.random.default_rng(seed)
    p = no_and_yes(rng.uniform(0.01, 0.99, 30).round(3))
    y = np.append(rng.integers(0, 2, 28), [0, 1])
    before, after = (score("classification", "roc_auc", y, one, ()) for one in (p, tempered(p, temperature)))
    assert after == before


def test_the_answer_of_a_row_does_not_depend_on_the_rows_around_it():
    p = no_and_yes(np.random.default_rng(0).uniform(0, 1, 101))
    whole = tempered(p, 1.7)
    for size in (1, 7, 50):
        parts = np.vstack([tempered(p[start : start + size], 1.7) for start in range(0, 101, size)])
        np.testing.assert_array_equal(parts, whole)
