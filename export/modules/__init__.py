"""SAM2's four networks as torch modules with the documented inputs and outputs, in operators that TensorRT takes."""
