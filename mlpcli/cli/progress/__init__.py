"""Progress: a bar on a terminal, occasional lines elsewhere."""
