"""What `export.tracking.tracker` is made of: module calls, memory bank, prompts, frames in and results out."""
