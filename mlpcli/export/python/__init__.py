"""`--to python`: a model as one file of plain Python."""
