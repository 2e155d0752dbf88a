"""Timing against peers and against floors; `python -m benchmarks --help`. Never part of the tests."""
