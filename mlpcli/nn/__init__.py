"""The mathematics, with NumPy only: layers, networks, losses, initializers, optimizers, schedules."""
