"""Experiment tracking with TensorBoard and MLflow."""
