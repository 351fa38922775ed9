"""Models on disk: reading hostile files, external data, writing in pieces."""
