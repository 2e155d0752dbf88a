"""What is wrong with a training: signs in its curves, its weights, its answers and its rows."""
