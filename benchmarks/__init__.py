"""Times and scores beside other libraries and lower bounds; `python -m benchmarks --help`. Not part of the tests."""
