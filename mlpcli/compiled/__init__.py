"""The engine of the extra `fast`: whole epochs compiled by Numba, for networks that a table of instructions can say."""
