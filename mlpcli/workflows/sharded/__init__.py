"""Data-parallel training on a cluster: each worker holds a shard of the table, and no process holds all of it."""
