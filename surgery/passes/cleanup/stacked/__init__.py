"""Passes for nodes in a row that one node can replace."""
