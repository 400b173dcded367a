"""The upload worker: it writes the rows of a CSV into a dataset."""
