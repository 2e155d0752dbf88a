"""The run that `mlp doctor` diagnoses."""
