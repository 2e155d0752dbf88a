"""Target columns to network targets, and network outputs to predictions."""
