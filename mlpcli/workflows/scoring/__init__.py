"""Scores of a model on rows with known targets."""
