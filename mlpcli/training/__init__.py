"""The loop: batches, epochs, and the choice of the best one. It neither prints nor saves."""
