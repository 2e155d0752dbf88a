"""Which rows a training learns from, is validated on and is tested on, and where they are kept."""
