"""Builds the networks and the training specs of a config and its data."""
