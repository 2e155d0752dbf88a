"""Explanations of a model: permutation importance, contributions to predictions, partial dependence."""
