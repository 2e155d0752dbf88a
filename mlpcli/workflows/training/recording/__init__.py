"""The record of a training: its run folder, its learning curves, trackers, and the record in its model."""
