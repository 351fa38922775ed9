"""Goldens: recorded outputs of models known to be right, with a measured tolerance for each tensor."""
