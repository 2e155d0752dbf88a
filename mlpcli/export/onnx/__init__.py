"""`--to onnx`: a model as an ONNX graph."""
