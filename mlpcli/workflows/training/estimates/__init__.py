"""Estimates before a training starts: its seconds, its memory, and the recipe that fits into a time budget."""
