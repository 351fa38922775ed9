"""From a torch module to an ONNX file, and the smaller form of its position tables."""
