"""Runs passes over a graph until none finds anything, within the options of the user."""
