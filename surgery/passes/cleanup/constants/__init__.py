"""Passes for what has the same value at every run."""
