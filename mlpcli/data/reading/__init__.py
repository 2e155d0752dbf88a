"""Reading of tables: sources, detection of their format, and a reader per format."""
