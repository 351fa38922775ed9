"""Searches a model for every node that TensorRT refuses: its parser first, then its builder, on parts of the model."""
