"""Passes for operators that a target lacks for one type of number."""
