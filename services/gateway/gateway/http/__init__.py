"""HTTP without a job in it: who calls, bodies, limits, conditions, problems."""
