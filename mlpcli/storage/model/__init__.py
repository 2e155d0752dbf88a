"""The model file: arrays, header and training record."""
