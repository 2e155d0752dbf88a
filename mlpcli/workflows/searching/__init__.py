"""What `mlp search` consists of: held-out rows, initial trials, running a trial, and the folder of the search."""
