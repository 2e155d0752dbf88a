"""CSV: the text, how it is written, its rows, and their cells."""
