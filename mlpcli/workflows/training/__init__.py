"""From prepared data to a scored model and its run folder."""
