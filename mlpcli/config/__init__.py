"""What the user asked for: the schema of the YAML file, its loading with line numbers, `--set`, and writing it back."""
