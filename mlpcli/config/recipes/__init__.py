"""What `mlp init` writes: the recipes and the text of the config."""
