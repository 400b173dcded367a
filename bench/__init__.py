"""What it costs and how fast it is: each bench is a command, bounded in rows and time, that prints its figures."""
