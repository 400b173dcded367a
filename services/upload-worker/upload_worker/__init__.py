"""The upload worker: CSV into a dataset."""
