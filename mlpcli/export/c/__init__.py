"""`--to c`: a model in C99."""
