"""Estimates of a training, before it begins: seconds, memory, and the recipe that fits into a time budget."""
