"""Passes for axes that are computed or left out, outputs that are read or left out, and unusual attributes."""
