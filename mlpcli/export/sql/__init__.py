"""`--to sql`: a model as one SELECT statement."""
