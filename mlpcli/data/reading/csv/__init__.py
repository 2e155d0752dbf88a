"""Reading of CSV files: decoding, detection of the dialect, batches of rows, and their cells."""
