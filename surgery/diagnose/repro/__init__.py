"""The smallest model that TensorRT still refuses for the same reason, with a script and the text of a bug report."""
