"""Rows of a file becoming documents, and being taken back: what the kinds that read a CSV have in common."""
