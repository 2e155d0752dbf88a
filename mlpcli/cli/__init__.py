"""Typer and rich only: one file per verb, which parses, calls one workflow and shows its result."""
