"""Passes for nodes that change nothing, that nothing reads, or that compute what another node computes."""
