"""Targets to what the network learns, and its outputs back to answers."""
