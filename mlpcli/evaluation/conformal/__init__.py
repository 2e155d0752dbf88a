"""Conformal prediction: intervals of numbers, sets of labels, and their metrics."""
