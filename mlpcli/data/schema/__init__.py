"""What columns hold: roles, the meaning of cells, the task."""
