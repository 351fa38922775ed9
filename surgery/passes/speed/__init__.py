"""Passes that write a form which the target runs faster (codes SG2xx)."""
