"""The values of a job: its states, their moves, its progress and its texts. Pure: no I/O.

It imports nothing from the rest of the package but :mod:`collect.errors`.
"""
