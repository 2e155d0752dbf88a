"""Column schemas: roles, parsing of cells, number and date formats, and the task."""
