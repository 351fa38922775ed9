"""Passes for names, and for the order of nodes."""
