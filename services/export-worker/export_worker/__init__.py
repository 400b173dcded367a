"""The export worker: it writes the responses of a form to a file."""
