"""Writes predictions to files."""
