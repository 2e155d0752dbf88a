"""A model in other languages: what `mlp predict` computes, without mlpcli."""
