"""More than one machine, on Dask: tasks on the workers of a cluster. Every wait has a limit."""
