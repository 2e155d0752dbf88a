"""Prepares a training: everything between the config and the first step, including all checks."""
