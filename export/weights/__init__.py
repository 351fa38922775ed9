"""Where weights come from: checkpoints, downloads and reference weights."""
