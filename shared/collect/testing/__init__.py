"""Test support that ships with the package: the whole system as child processes."""
