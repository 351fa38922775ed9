"""What passes build with: nodes, axes, bits, quantization, pooling and resize windows."""
