"""Time and scores beside peers and floors; `python -m benchmarks --help`. Nothing is measured in the tests."""
