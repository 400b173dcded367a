"""The rows of a CSV file: how they become documents, and how an undo takes them back. All CSV kinds use it."""
