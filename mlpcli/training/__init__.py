"""The training loop: batches, epochs, and selection of the best epoch. It neither prints nor saves."""
