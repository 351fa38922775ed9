"""What `export.tracker` is made of: module calls, memory bank, prompts, frames in and results out."""
