import numpy as np
import pytest

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, NumberTarget, decode_outputs
from mlpcli.workflows.scoring.scores import Decoded

NUMBERS = (ColumnSchema("y", "number"), ColumnSchema("z", "number"))
OUTPUTS = np.random.default_rng(0).random((20, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (ClassTarget(ColumnSchema("y", "category"), ("a", "b")), {"temperature": np.array([1.5])}),
        (
            BooleanTarget(
                tuple(ColumnSchema(name, "boolean", levels=("no", "yes")) for name in "yz"), ("text",) * len("yz")
            ),
            {},
        ),
        (NumberTarget(NUMBERS, "standardize"), {"target_center": np.ones(2), "target_scale": np.array([2.0, 0.3])}),
    ],
)
def test_predictions_decoded_by_slices_equal_those_decoded_at_once(target, state):
    predictions, decoded = decode_outputs(target, state, OUTPUTS), Decoded(target, state, OUTPUTS)
    assert decoded.shape == predictions.shape
    assert np.array_equal(decoded[3:11], predictions[3:11])
    assert np.array_equal(decoded[:], predictions)


def test_a_single_output_gives_the_probabilities_of_both_classes():
    decoded = Decoded(ClassTarget(ColumnSchema("y", "category"), ("a", "b")), {}, OUTPUTS[:, :1])
    assert decoded.shape == (20, 2)
    assert decoded[:5].sum(axis=1).tolist() == [1.0] * 5
