"""From the rows of a table to the columns that `mlp predict` writes."""
