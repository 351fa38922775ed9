"""Runs TensorRT's parser and builder in a process of their own, and reads the results of a build."""
