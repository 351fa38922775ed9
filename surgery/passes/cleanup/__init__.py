"""Passes that make a model smaller and plainer (codes SG0xx)."""
