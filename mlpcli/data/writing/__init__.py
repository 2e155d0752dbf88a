"""Writing of predictions to files."""
