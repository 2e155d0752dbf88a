"""The run that `mlp doctor` looks at."""
