"""Diagnosis of a training from its curves, weights, predictions and rows."""
