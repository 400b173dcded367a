"""The gateway: REST in front of the jobs."""
