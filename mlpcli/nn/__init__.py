"""The mathematics, in NumPy alone: layers, networks, cost functions, initializers, optimizers, schedules."""
