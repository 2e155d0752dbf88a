"""What the compiled functions are made of: Numba, loops over numbers, and calls of BLAS."""
