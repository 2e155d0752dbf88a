"""YAML text to plain values with the line of each, and back."""
