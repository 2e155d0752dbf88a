"""The share of right answers, or r2 for numbers: TRUTH PREDICTED TARGET."""

import sys

import pandas as pd

truth, predicted, target = sys.argv[1:]
y, a = pd.read_csv(truth)[target], pd.read_csv(predicted)[target]
if pd.api.types.is_float_dtype(y) or y.nunique() > 100:
    print(1.0 - ((y - a) ** 2).sum() / ((y - y.mean()) ** 2).sum())
else:
    print((y.astype(str) == a.astype(str)).mean())
