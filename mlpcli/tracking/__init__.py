"""Trainings told to programs that track experiments: TensorBoard, MLflow."""
