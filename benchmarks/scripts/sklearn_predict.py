"""CSV to CSV with the model of sklearn_train.py: MODEL INPUT OUTPUT TARGET."""

import sys

import joblib
import pandas as pd

model, source, output, target = sys.argv[1:]
columns, network, spread = joblib.load(model)
rows = pd.read_csv(source).drop(columns=target, errors="ignore")
X = rows.to_numpy("float32") / 255 if columns is None else columns.transform(rows).astype("float32")
answers = network.predict(X)
if spread is not None:
    answers = spread.inverse_transform(answers.reshape(-1, 1)).ravel()
pd.DataFrame({target: answers}).to_csv(output, index=False)
