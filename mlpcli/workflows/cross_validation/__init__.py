"""Cross-validation: a training and a score for each fold of the rows."""
