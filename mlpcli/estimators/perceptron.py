"""The base class of both estimators: parameters, training, and the model file."""

from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted, validate_data

from mlpcli.api import TrainedModel, load, train
from mlpcli.config.recipes.sizes import RECIPES
from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.errors import MlpError
from mlpcli.estimators.incremental import train_batch, warm_start
from mlpcli.workflows.init import starter_for
from mlpcli.workflows.preparing.warm_start import WarmStart

ACTIVATIONS = {"logistic": "sigmoid"}  # scikit-learn's name: ours
MAX_AUTO_BATCH = 200  # as in scikit-learn
WEIGHT = "sample_weight"
# Weight of a row that adds a class without changing a statistic.
NEGLIGIBLE = 1e-12


class Perceptron(BaseEstimator):  # type: ignore[misc]
    """The base class of `MLPClassifier` and `MLPRegressor`."""

    def __init__(
        self,
        hidden_layer_sizes: Any = (64, 64),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0,
        batch_size: Any = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        random_state: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        recipe: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.recipe = recipe
        self.config = config

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        return tags

    def save(self, path: str) -> None:
        """Write a model file, which `mlp predict` reads too; raises OutputError."""
        check_is_fitted(self)
        self.model_.save(path)

    @classmethod
    def load(cls, path: str) -> Self:
        """Load a model file; raises ModelFileError, and ValueError if the model is for another task."""
        model, estimator = load(path), cls()
        if model.task not in estimator._tasks:
            raise ValueError(f"{path}: a model of {model.task}, which {cls.__name__} does not predict.")
        estimator._set_model(model)
        estimator.n_features_in_ = len(model.columns)
        estimator._names, estimator._is_loaded = list(model.columns), True
        if estimator._names != _array_names(len(model.columns)):
            estimator.feature_names_in_ = np.asarray(model.columns, object)
        return estimator

    _tasks: tuple[str, ...] = ()

    def _set_model(self, model: TrainedModel) -> None:
        self.model_ = model
        self.n_iter_ = 0 if model.history is None else int(model.history["epoch"].max())
        self.n_layers_ = len(model.layers)
        self.n_outputs_ = model.layers[-1]

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """Weight matrices (n_in, n_out), transposed as in scikit-learn; those of the first member of an ensemble."""
        return [tensor.T for tensor in self._tensors("W")]

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """Bias vectors (n_out,), of the first member of an ensemble."""
        return self._tensors("b")

    def _tensors(self, letter: str) -> list[NDArray[Any]]:
        check_is_fitted(self)
        prefix = "m1." if "m1.W1" in self.model_.weights else ""
        names = (f"{prefix}{letter}{number}" for number in range(1, self.n_layers_))
        return [self.model_.weights[name] for name in names]

    def _fit(self, X: Any, y: NDArray[Any], sample_weight: Any, task: str, names: list[str]) -> Self:
        """Train on rows and targets (n_rows, n_targets) of these names."""
        joined, targets, weight = self._joined_frame(self._frame(X, reset=True), y, sample_weight, names)
        if len(joined) < 2:
            raise ValueError(f"n_samples={len(joined)}: at least two rows are needed.")
        self._start, self._is_loaded = None, False
        try:
            self._set_model(train(self._config(joined, targets, task, weight), joined))
        except MlpError as error:
            raise ValueError(str(error)) from error
        return self

    def _partial_fit(
        self, X: Any, y: NDArray[Any], sample_weight: Any, task: str, declared: NDArray[Any], names: list[str]
    ) -> Self:
        """Train one epoch on rows and targets (n_rows, n_targets); the first call sets names and declares targets."""
        is_first = not hasattr(self, "model_")
        names = names if is_first else list(self.model_.targets)
        for name, is_set in (("recipe", self.recipe is not None), ("early_stopping", self.early_stopping)):
            if is_set:
                raise ValueError(f"partial_fit: {name} works with fit only, which sees all rows.")
        frame = self._frame(X, reset=is_first)
        check_consistent_length(frame, y)
        weights = checked_weights(sample_weight, frame)
        row_weights = np.ones(len(frame)) if weights is None else weights
        joined, targets, weight = self._joined_frame(frame, y, row_weights, names)
        start = None if is_first else self._start or warm_start(self.model_)
        config = self._config(joined, targets, task, weight)
        config["training"]["epochs"] = 1 + (0 if start is None or start.state is None else start.state.epoch)
        preprocessing_rows = None
        if start is not None:
            config["training"]["dtype"] = start.model.ensemble.dtype.name
            config["model"]["output_bias"] = start.model.record["config"]["model"]["output_bias"]
        elif len(declared):
            config["model"].setdefault("output_bias", "initializer")  # a class absent from this batch is not improbable
            extended = pd.concat([frame, frame.iloc[[0] * len(declared)]], ignore_index=True)
            row_weights = np.append(row_weights, np.full(len(declared), NEGLIGIBLE))
            preprocessing_rows = self._joined_frame(extended, np.concatenate([y, declared]), row_weights, names)[0]
        try:
            model, self._start = train_batch(config, joined, start, preprocessing_rows)
        except MlpError as error:
            raise ValueError(str(error)) from error
        self._set_model(model)
        self.n_iter_ = config["training"]["epochs"]
        return self

    def _joined_frame(
        self, frame: pd.DataFrame, y: NDArray[Any], sample_weight: Any, names: list[str]
    ) -> tuple[pd.DataFrame, list[str], str | None]:
        """One frame of rows, targets and weights, with the names of the target columns and of the weight column."""
        check_consistent_length(frame, y)
        targets = _unused_names(names, frame.columns)
        columns = {name: pd.Series(column, frame.index) for name, column in zip(targets, y.T, strict=True)}
        joined = frame.assign(**columns)
        weights = checked_weights(sample_weight, frame)
        if weights is None:
            return joined, targets, None
        name = _unused_names([WEIGHT], joined.columns)[0]
        return joined.assign(**{name: weights}), targets, name

    def _config(self, frame: pd.DataFrame, targets: list[str], task: str, weight: str | None) -> dict[str, Any]:
        """Build the config from the parameters and these rows."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        if self.recipe is not None and self.recipe not in RECIPES:
            raise ValueError(f"recipe: must be None or one of {', '.join(RECIPES)}, got {self.recipe!r}.")
        if self.recipe is not None:
            table = table_from_frame(frame if weight is None else frame.drop(columns=weight))
            text = starter_for(table, tuple(targets), "rows", self.recipe, task).text
            config = cast(dict[str, Any], parse_yaml(text, f"recipe {self.recipe}")[0])
            config["data"].pop("train")
        else:
            config = self._config_from_parameters(frame, targets, task, weight)
            config["data"]["target"] = targets if len(targets) > 1 else targets[0]
        config["task"] = task
        config["data"] |= {} if weight is None else {"weight": weight}
        config["training"]["seed"] = int(seed)
        return _merged(self._as_loaded(config) if self._is_loaded else config, self.config or {})

    def _as_loaded(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config with the sections of the loaded model that must not change, unless a parameter is set."""
        recorded, defaults = self.model_._model.record["config"], type(self)()
        for key, name in (("layers", "hidden_layer_sizes"), ("activation", "activation")):
            if np.array_equal(getattr(self, name), getattr(defaults, name)):
                del config["model"][key]
        fixed = {"model": recorded["model"], "preprocess": recorded["preprocess"]}
        return _merged(fixed | {"training": {"loss": recorded["training"]["loss"]}}, config)

    def _config_from_parameters(
        self, frame: pd.DataFrame, targets: list[str], task: str, weight: str | None
    ) -> dict[str, Any]:
        """Build the config without a recipe, from scikit-learn's parameters."""
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        optimizer: dict[str, Any] = {"name": self.solver, "learning_rate": self.learning_rate_init}
        optimizer |= {"weight_decay": self.alpha}
        if self.solver == "sgd":
            optimizer |= {"momentum": self.momentum, "nesterov": self.nesterovs_momentum and self.momentum > 0}
        is_float64 = bool((frame.drop(columns=targets).dtypes == np.float64).all())
        size = min(MAX_AUTO_BATCH, len(frame)) if self.batch_size == "auto" else self.batch_size
        patience = {"patience": self.n_iter_no_change} if self.early_stopping else None
        data: dict[str, Any] = {"validation": self.validation_fraction if self.early_stopping else None}
        if self._is_array:  # an array holds numbers only
            data["columns"] = {name: "number" for name in frame.columns if name not in targets and name != weight}
        if task == "classification":
            data.setdefault("columns", {})[targets[0]] = {"role": "category", "missing": []}
        return {
            "data": data,
            "model": {
                "layers": ["auto", *sizes, "auto"],
                "activation": ACTIVATIONS.get(self.activation, self.activation),
            },
            "training": {
                "optimizer": optimizer,
                "batch_size": size,
                "epochs": self.max_iter,
                "early_stopping": patience,
                "dtype": "float64" if is_float64 else "float32",
            },
        }

    def _frame(self, X: Any, reset: bool = False) -> pd.DataFrame:
        """Rows as a data frame; arrays pass scikit-learn's checks, and their columns are named x0, x1, ..."""
        if isinstance(X, pd.DataFrame) and not all(map(pd.api.types.is_numeric_dtype, X.dtypes)):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if reset:
                self._is_array = False
            return X.set_axis([str(name) for name in X.columns], axis="columns")
        if not reset and not self._is_array:
            validate_data(self, X, reset=False, skip_check_array=True)
            return cast(pd.DataFrame, X)
        names = [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else None
        array = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        if reset:
            self._is_array = True
            self._names = names or _array_names(array.shape[1])
        return pd.DataFrame(array, columns=self._names)

    _is_array, _is_loaded = True, False
    _names: list[str]
    _start: WarmStart | None = None  # for the next batch of partial_fit


def _array_names(n_columns: int) -> list[str]:
    return [f"x{number}" for number in range(n_columns)]


def checked_weights(sample_weight: Any, rows: Any) -> NDArray[np.float64] | None:
    """Validate the weight of each row; raises ValueError."""
    if sample_weight is None:
        return None
    weights = cast(
        NDArray[np.float64], _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    )
    if not weights.any():
        raise ValueError("sample_weight: the weight of every row is zero.")
    return weights


def _merged(config: dict[str, Any], updates: Mapping[str, Any]) -> dict[str, Any]:
    """The config updated with the keys of `updates`, recursively."""
    merged = dict(config)
    for key, value in updates.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged


def stripped_label(label: Any) -> Any:
    """A label without surrounding blanks, as in tables."""
    return label.strip() if isinstance(label, str) else label


def _unused_names(names: list[str], columns: Any) -> list[str]:
    """The names, with underscores appended until no column has them."""
    unused = []
    for name in names:
        while name in columns:
            name += "_"
        unused.append(name)
    return unused
