"""The worker that makes teams in bulk."""
