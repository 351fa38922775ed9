"""The documented interface as data, and the check of a model against it."""
