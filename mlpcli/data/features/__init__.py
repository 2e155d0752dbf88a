"""Columns to the inputs of the network."""
