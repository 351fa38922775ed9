"""Track objects through frames with the exported files: memory bank, prompts, frames in, results out."""
