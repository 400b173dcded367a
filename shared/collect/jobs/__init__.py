"""What a job is: states, moves, words. Pure: no I/O, no imports from the rest of the package."""
