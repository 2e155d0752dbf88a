"""From a config to all that the first step of a training needs, and all that can fail before it."""
