"""Bodies and queries of requests, and the shapes of answers."""
