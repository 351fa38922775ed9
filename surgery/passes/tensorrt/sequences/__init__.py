"""Passes for loops, sequences, optional values and functions."""
