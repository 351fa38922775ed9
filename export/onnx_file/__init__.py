"""From a torch module to an ONNX file, and position tables stored as factors."""
