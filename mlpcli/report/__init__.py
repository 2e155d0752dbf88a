"""Figures and pages about a run and its model, from plain numbers and texts."""
