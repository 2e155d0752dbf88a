"""What is suspicious about the rows of a training without being wrong: notes, no errors."""
