"""Measures how good a golden is: which parts of the model its inputs reach, and which faults it catches."""
