import numpy as np
from hypothesis import given, settings
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from mlpcli.evaluation.metrics.classes import confusion_matrix

from .cases import class_cases


@settings(deadline=None)
@given(class_cases())
def test_the_confusion_matrix_agrees_with_scikit_learn(case):
    y, probabilities, weights = case
    predicted, n_classes = probabilities.argmax(axis=1), probabilities.shape[1]
    matrix = confusion_matrix(y, predicted, n_classes, weights)
    assert matrix.dtype == np.float64
    assert np.array_equal(
        matrix, sklearn_confusion_matrix(y, predicted, labels=range(n_classes), sample_weight=weights)
    )


def test_the_confusion_matrix_has_true_classes_as_rows():
    assert confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0.0, 2.0], [0.0, 1.0]]
