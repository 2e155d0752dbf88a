"""The parts of `mlp search`: the rows that no trial sees, the first trials, one trial, and the folder of the search."""
