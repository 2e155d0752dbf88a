"""Fit a peer and answer the test rows: NAME TRAIN TEST TARGET TASK SEED ANSWERS.

Written as the peer's own users would: its defaults, and the preprocessing it needs. A process of its own, so that
none pays for the imports of another; hence the imports in the functions.
"""

import sys
import warnings
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd


def read(train: str, test: str, target: str, task: str) -> tuple[pd.DataFrame, Any, pd.DataFrame]:
    """Inputs and target of the training rows, inputs of the test rows; yes/no columns are numbers."""
    tables = [pd.read_csv(file, na_values=["?"], skipinitialspace=True) for file in (train, test)]
    X, X_test = (table.drop(columns=target) for table in tables)
    for name in X.columns:
        if pd.api.types.is_bool_dtype(X[name]):
            X[name], X_test[name] = X[name].astype(int), X_test[name].astype(float)
    kind = str if task == "classification" else float
    y = pd.read_csv(train, usecols=[target], dtype=kind, keep_default_na=False)[target]
    return X, y.str.strip().to_numpy(str) if task == "classification" else y.to_numpy(), X_test


def texts_of(X: pd.DataFrame) -> list[str]:
    """The columns that are no numbers."""
    return [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name])]


def categorize(X: pd.DataFrame, X_test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Texts are categories of the training rows; one that is not among them is missing."""
    X, X_test = X.copy(), X_test.copy()
    for name in texts_of(X):
        levels = pd.CategoricalDtype(sorted(X[name].dropna().astype(str).unique()))
        for table in (X, X_test):
            texts = table[name].map(str, na_action="ignore")
            table[name] = texts.where(texts.isin(levels.categories)).astype(levels)
    return X, X_test


def spell_out(X: pd.DataFrame, X_test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Texts stay texts, and a missing one is a level of its own, for those that refuse it."""
    X, X_test = X.copy(), X_test.copy()
    for name in texts_of(X):
        X[name], X_test[name] = (table[name].map(str, na_action="ignore").fillna("") for table in (X, X_test))
    return X, X_test


def fill(X: pd.DataFrame, X_test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Missing numbers are the median of the training rows, for those that refuse them."""
    medians = X.median(numeric_only=True)
    return X.fillna(medians), X_test.fillna(medians)


def sklearn(task: str, seed: int, early_stopping: bool = False) -> Any:
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [
            (
                "number",
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                make_column_selector(dtype_include="number"),
            ),
            (
                "category",
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                make_column_selector(dtype_include="category"),
            ),
        ]
    )
    if task == "classification":
        return make_pipeline(columns, MLPClassifier(random_state=seed, early_stopping=early_stopping))
    network = MLPRegressor(random_state=seed, early_stopping=early_stopping)
    return make_pipeline(columns, TransformedTargetRegressor(network, transformer=StandardScaler()))


def sklearn_es(task: str, seed: int) -> Any:
    return sklearn(task, seed, early_stopping=True)


def lightgbm(task: str, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if task == "classification" else LGBMRegressor
    return kind(random_state=seed, n_jobs=1, verbosity=-1)


def xgboost(task: str, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    kind = XGBClassifier if task == "classification" else XGBRegressor
    return kind(random_state=seed, n_jobs=1, enable_categorical=True)


def catboost(task: str, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if task == "classification" else CatBoostRegressor
    return kind(random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False)


def realmlp_td(task: str, seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Classifier if task == "classification" else RealMLP_TD_Regressor
    return kind(device="cpu", random_state=seed, n_threads=1)


def tabm(task: str, seed: int) -> Any:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    kind = TabM_D_Classifier if task == "classification" else TabM_D_Regressor
    return kind(device="cpu", random_state=seed, n_threads=1)


def realmlp_td_s(task: str, seed: int) -> Any:
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    kind = RealMLP_TD_S_Classifier if task == "classification" else RealMLP_TD_S_Regressor
    return kind(device="cpu", random_state=seed, n_threads=1)


PEERS: dict[str, Callable[[str, int], Any]] = {
    "sklearn": sklearn,
    "sklearn-es": sklearn_es,
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "catboost": catboost,
    "realmlp-td-s": realmlp_td_s,
    "realmlp-td": realmlp_td,
    "tabm": tabm,
}


def main(name: str, train: str, test: str, target: str, task: str, seed: str, answers: str) -> None:
    warnings.simplefilter("ignore")  # the defaults of scikit-learn stop before they converge, and say so
    X, y, X_test = read(train, test, target, task)
    model = PEERS[name](task, int(seed))
    if name == "catboost":
        X, X_test = spell_out(X, X_test)
        model.set_params(cat_features=texts_of(X))
    else:
        X, X_test = categorize(X, X_test)
    if name.startswith(("realmlp", "tabm")):
        X, X_test = fill(X, X_test)
    classes, codes = np.unique(y, return_inverse=True) if task == "classification" else (None, y)
    started = perf_counter()
    model.fit(X, codes)
    fitted, cpu = perf_counter(), process_time()
    if classes is None:
        found = {"numbers": np.asarray(model.predict(X_test), np.float64).ravel()}
    else:
        probabilities = np.asarray(model.predict_proba(X_test), np.float64)
        found = {"probabilities": probabilities, "classes": classes, "labels": classes[probabilities.argmax(axis=1)]}
    seconds = np.array([fitted - started, perf_counter() - fitted, process_time() - cpu])
    np.savez(answers, seconds=seconds, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
