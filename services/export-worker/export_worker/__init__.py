"""The worker that runs exports."""
