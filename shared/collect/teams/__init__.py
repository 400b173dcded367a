"""Teams in bulk: the template of their files, how a row is read, and what a file would change."""
