"""The config: its schema, loading with line numbers, overrides by `--set`, and writing."""
