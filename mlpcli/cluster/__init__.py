"""Runs work on several machines with Dask. Every wait has a time limit."""
