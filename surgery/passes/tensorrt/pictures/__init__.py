"""Passes for operators on pictures: windows, pooling, resizing, grids."""
