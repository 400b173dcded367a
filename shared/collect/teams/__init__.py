"""Teams in bulk: the template of their files, what a row says, and what a file would change."""
