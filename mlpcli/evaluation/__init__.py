"""Scores: arrays in, plain Python numbers out; NumPy only, no frame, no file, no printing.

`metrics` has one record per metric, `uncertainty` their confidence intervals, `conformal` prediction intervals and
sets; `gates` decides whether a run passes. Shape letters of the whole package: rows `n_rows`, classes `K`,
outputs or boolean columns `M`, resamples `R`. `weights` (n_rows,) are finite and not negative; None counts each row
once. With weights (R, n_rows) a metric scores many resamples at a time, along a leading axis of its result.
"""
