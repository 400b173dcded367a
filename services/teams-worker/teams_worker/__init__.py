"""The teams worker: it creates and changes teams in bulk."""
