"""Surgeon side by side with its peers, on the same files, in one run."""
