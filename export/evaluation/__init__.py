"""Accuracy over a data set: J, F and J&F of the exported files, beside other files or the stock predictor."""
