"""The checks for likely mistakes in a file before a job reads it: previews and their warnings."""
