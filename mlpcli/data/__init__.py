"""Tables to arrays: reading, column roles, splits, preprocessing and targets. The only package that knows pandas."""
