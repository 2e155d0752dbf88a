"""CSV to model with scikit-learn: TRAIN TARGET MODEL HIDDEN EPOCHS BATCH SCALE."""

import sys
import warnings

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

train, target, model, hidden, epochs, batch, scale = sys.argv[1:]
rows = pd.read_csv(train)
y = rows.pop(target)
if scale == "standardize":
    number = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    category = OneHotEncoder(handle_unknown="ignore", min_frequency=5, sparse_output=False)
    columns = ColumnTransformer(
        [
            ("number", number, make_column_selector(dtype_include="number")),
            ("category", category, make_column_selector(dtype_exclude="number")),
        ]
    )
    X = columns.fit_transform(rows).astype("float32")
else:
    columns = None  # pixels
    X = rows.to_numpy("float32") / 255
options = {
    "hidden_layer_sizes": tuple(map(int, hidden.split(","))),
    "batch_size": int(batch),
    "max_iter": int(epochs),
    "n_iter_no_change": int(epochs) + 1,
    "alpha": 0.0,
    "random_state": 0,
}
warnings.simplefilter("ignore", ConvergenceWarning)
if pd.api.types.is_float_dtype(y) or y.nunique() > 100:
    spread = StandardScaler().fit(y.to_numpy().reshape(-1, 1))
    network = MLPRegressor(**options).fit(X, spread.transform(y.to_numpy().reshape(-1, 1)).ravel())
else:
    spread = None
    network = MLPClassifier(**options).fit(X, y)
joblib.dump((columns, network, spread), model)
