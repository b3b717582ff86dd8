"""Datasets, metrics and the runs that hold every model against the same truth."""
