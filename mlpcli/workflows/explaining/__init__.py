"""Explanations of predictions, as `mlp explain` computes them."""
