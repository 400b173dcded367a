"""A storm: a whole system, many people, and something that breaks every few seconds, all drawn from one seed."""
