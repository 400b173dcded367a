"""Collect Jobs: long-running data jobs that a person can stop."""
