"""Writing models to disk: external data, whole files or none, and large models in pieces."""
