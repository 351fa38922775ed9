"""Stock `sam2` torch modules to raw ONNX files with the documented names, order, shapes and float types."""
