"""Passes for operators that a target lacks altogether."""
