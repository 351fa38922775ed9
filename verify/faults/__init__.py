"""Small faults planted in copies of a model, to measure which of them its golden catches."""
