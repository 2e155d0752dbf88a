"""The network's mathematics: NumPy only, no printing, no files.

Shape letters of the whole package: rows of a batch `n_rows`; sizes `n -> N -> ... -> M` as `sizes[0] ... sizes[-1]`;
`X` (n_rows, n_in), `y` (n_rows, n_out), `W` (n_out, n_in), `b` (n_out,), `z` and `a` (n_rows, n_out),
`delta` = d cost / d z (n_rows, n_out).
"""
