"""Notes on doubtful rows and columns of a training, which are no errors: leakage, few rows, rare classes."""
