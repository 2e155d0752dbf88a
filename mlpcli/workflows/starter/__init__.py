"""The parts of a config that `mlp init` derives from the columns of a table."""
