"""From a config and its data to the networks of a training, and how they are trained."""
