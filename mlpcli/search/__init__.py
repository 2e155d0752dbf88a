"""What `mlp search` is made of: the space, the journal of trials, the processes that run them."""
