"""`--to onnx`: a model as a graph of ONNX."""
