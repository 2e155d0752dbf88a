"""The parts of `mlp report`: the rows of a table in one pass, and the sections about them."""
