"""A training whose rows lie on the workers of a cluster: each has a shard of the table, nobody has all of it."""
