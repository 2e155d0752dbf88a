"""`MLPClassifier` and `MLPRegressor`."""

import unicodedata
from collections.abc import Iterable
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_array
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d

from mlpcli.api import TrainedModel
from mlpcli.errors import MlpError
from mlpcli.estimators.perceptron import Perceptron, checked_weights, stripped_label


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """A multilayer perceptron that predicts classes, or several columns of 0 and 1.

    `recipe` ("strong", "best", "fast" or "textbook") trains the config that `mlp init` writes for these rows; it
    overrides all other parameters but `random_state` and `config`. `config` sets any key of the config and overrides
    every other parameter.
    """

    _tasks = ("classification", "multilabel")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (n_rows, n_columns) and labels y (n_rows,), or 0 and 1 (n_rows, n_targets).

        Raises ValueError for invalid rows, labels or parameters.
        """
        labels, is_multilabel = _checked_labels(y)
        classes = np.unique(labels)
        weights = checked_weights(sample_weight, labels)
        weighted = classes if weights is None else np.unique(labels[weights > 0])
        if len(labels) and len(weighted) < 2:
            raise ValueError(f"at least two classes are needed; the rows have one class: {weighted.tolist()}.")
        self.classes_ = np.arange(labels.shape[1]) if is_multilabel else classes
        columns, task = labels.reshape(len(labels), -1), "multilabel" if is_multilabel else "classification"
        return self._fit(X, columns, sample_weight, task, _target_names(y, columns.shape[1]))

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one epoch on a batch of rows; the first call needs `classes`, the labels of all batches.

        Columns, scaling and category levels are fitted on the first batch. After `fit`, training continues from its
        model. Raises ValueError for invalid rows, labels or parameters.
        """
        labels, is_multilabel = _checked_labels(y)
        if is_multilabel:
            declared = np.repeat([[0], [1]], labels.shape[1], axis=1)
            self.classes_ = np.arange(labels.shape[1])
            names = _target_names(y, labels.shape[1])
            return self._partial_fit(X, labels, sample_weight, "multilabel", declared, names)
        _check_partial_fit_first_call(self, None if classes is None else np.unique(classes))
        if unknown := sorted({*labels.tolist()} - {*self.classes_.tolist()}):
            raise ValueError(f"y has labels that are not in `classes`: {unknown}.")
        if len(self.classes_) < 2:
            raise ValueError(f"classes: at least two are needed, got one class: {self.classes_.tolist()}.")
        declared = self.classes_.reshape(-1, 1)
        columns = labels.reshape(-1, 1)
        return self._partial_fit(X, columns, sample_weight, "classification", declared, _target_names(y, 1))

    def predict(self, X: Any) -> NDArray[Any]:
        """The label of each row (n_rows,), or 0 and 1 (n_rows, n_targets)."""
        check_is_fitted(self)
        predictions = self._call("predict", self._frame(X))
        if isinstance(predictions, pd.DataFrame):
            return predictions.to_numpy().astype(np.int64)
        return cast(NDArray[Any], self.classes_[self._class_indices(predictions.tolist())])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_classes) in the order of `classes_`, or of 1 in each target (n_rows, n_targets)."""
        check_is_fitted(self)
        probabilities = cast(NDArray[np.float64], self._call("predict_proba", self._frame(X)))
        if self.model_.task == "multilabel":
            return probabilities
        expanded = np.zeros((len(probabilities), len(self.classes_)))  # a class with total weight 0 has no output
        expanded[:, self._class_indices(self.model_.labels)] = probabilities
        return expanded

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _class_indices(self, labels: Iterable[Any]) -> list[int]:
        """The indices of labels in `classes_`."""
        indices = {stripped_label(label): index for index, label in enumerate(self.classes_.tolist())}
        return [indices[stripped_label(label)] for label in labels]

    def _call(self, method: str, frame: pd.DataFrame) -> Any:
        try:
            return getattr(self.model_, method)(frame)
        except MlpError as error:
            raise ValueError(str(error)) from error

    def _set_model(self, model: TrainedModel) -> None:
        super()._set_model(model)
        if not hasattr(self, "classes_"):  # loaded
            targets = np.arange(len(model.targets))
            self.classes_ = np.unique(np.asarray(model.labels)) if model.task == "classification" else targets


def _checked_labels(y: Any) -> tuple[NDArray[Any], bool]:
    """Labels (n_rows,), or 0 and 1 (n_rows, n_targets), and whether they are multilabel; raises ValueError."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    check_classification_targets(y)
    if type_of_target(y) == "multilabel-indicator":
        return check_array(y, accept_sparse=False, dtype=None), True
    return column_or_1d(y, warn=True), False


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """A multilayer perceptron that predicts one number or several; `recipe` and `config` as in `MLPClassifier`."""

    _tasks = ("regression",)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X (n_rows, n_columns) and numbers y (n_rows,) or (n_rows, n_targets).

        Raises ValueError for invalid rows, targets or parameters.
        """
        numbers = self._checked_numbers(y)
        return self._fit(X, numbers, sample_weight, "regression", _target_names(y, numbers.shape[1]))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one epoch on a batch of rows.

        Columns, category levels and scaling, of the targets too, are fitted on the first batch. After `fit`, training
        continues from its model. Raises ValueError for invalid rows, targets or parameters.
        """
        numbers = self._checked_numbers(y)
        names = _target_names(y, numbers.shape[1])
        return self._partial_fit(X, numbers, sample_weight, "regression", numbers[:0], names)

    def _checked_numbers(self, y: Any) -> NDArray[np.float64]:
        """Validate the targets; returns (n_rows, n_targets)."""
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self._is_flat = numbers.ndim == 1
        return cast(NDArray[np.float64], numbers.reshape(len(numbers), -1))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predicted numbers (n_rows,), or (n_rows, n_targets) as in `fit`."""
        check_is_fitted(self)
        try:
            predictions = self.model_.predict(self._frame(X)).to_numpy()
        except MlpError as error:
            raise ValueError(str(error)) from error
        return predictions.reshape(len(predictions), -1) if not self._is_flat else predictions

    _is_flat = True


def _target_names(y: Any, n_targets: int) -> list[str]:
    """Names of a series or of the columns of a data frame, as in tables; without distinct names y, or y0, y1, ..."""
    found = y.columns.tolist() if isinstance(y, pd.DataFrame) else [y.name] if isinstance(y, pd.Series) else []
    names = [unicodedata.normalize("NFC", name.strip()) for name in found if isinstance(name, str)]
    if all(names) and len(set(names)) == n_targets:
        return names
    return ["y"] if n_targets == 1 else [f"y{number}" for number in range(n_targets)]
