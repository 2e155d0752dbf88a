"""How good the predictions are, beside peers on real splits; `python -m benchmarks quality --help`."""
