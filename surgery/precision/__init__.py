"""Half precision: which nodes can run in it, measured, and the model with their casts."""

PRECISIONS = ("fp16", "bf16", "mixed")
DEFAULT_MAX_ERROR = 1e-2
