"""Passes that change graph inputs or outputs, when a spec asks for it (codes SG3xx)."""
