"""What needs an optional dependency; each module is imported only when it is asked for."""
