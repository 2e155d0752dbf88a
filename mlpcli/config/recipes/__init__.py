"""The recipes of `mlp init`, and the text of the config."""
