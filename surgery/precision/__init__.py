"""Half precision: which nodes can run in it, measured, and the model with their casts."""
