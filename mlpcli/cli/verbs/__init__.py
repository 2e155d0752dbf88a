"""The verbs of the program, each with its options and its document."""
