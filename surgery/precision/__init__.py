"""Half precision: measures which nodes can run in it, and writes their casts into the model."""

PRECISIONS = ("fp16", "bf16", "mixed")
DEFAULT_MAX_ERROR = 1e-2
