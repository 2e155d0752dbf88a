"""Tables read for a trained model: its columns, the weights of rows, and drift from the training data."""
