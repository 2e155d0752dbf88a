"""Confidence intervals of scores.

`intervals` gives the interval of each score. `proportions` has those of fractions of rows, `pseudo_values` the
contribution of each row to a score, `skewed_means` the interval of a mean of such values, `tails` the tail index that
it needs; `of_classes` and `of_numbers` choose among these for a metric, or say why it has no interval. `resampling` is
the bootstrap, `paired` compares two models, `fold_scores` the folds of a cross-validation.
"""
