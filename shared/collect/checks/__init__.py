"""What looks like a mistake in a file, before anything is done with it: previews and their warnings."""
