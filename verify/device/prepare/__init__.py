"""Makes the folder that runs on a GPU machine: models, inputs, run.sh, and what the outputs may differ by."""
