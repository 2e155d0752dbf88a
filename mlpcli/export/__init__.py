"""Export of a model to other languages, so that predictions need no mlpcli."""
