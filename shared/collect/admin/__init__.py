"""The command `collect-admin`: migrate, keys, seed, check, dead letters."""
