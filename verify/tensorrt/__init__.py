"""TensorRT's parser and builder in a process of their own, and what a build says."""
