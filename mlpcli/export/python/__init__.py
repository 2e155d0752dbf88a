"""`--to python`: a model as one Python file without dependencies."""
