"""The typed client, and the command `collect` built on it."""
