"""Makes the folder that runs on a GPU machine: models, inputs, run.sh, and tolerances of the outputs."""
