"""The verbs of the program: each with the document that it shows."""
