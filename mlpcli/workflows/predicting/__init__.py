"""From rows of a table to the columns of predictions."""
