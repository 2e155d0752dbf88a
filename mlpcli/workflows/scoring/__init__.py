"""What rows with a known truth say of a model."""
