"""The kinds of jobs that can be asked for: a module each, and a row each in the table."""
