"""Two sets of values compared: error statistics, tolerances, and the first tensor that differs."""
