"""Why a model answers as it does: which columns matter, what each adds to an answer, how answers go with a column."""
