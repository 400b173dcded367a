"""The stories that `make demo` plays: a wrong job is started, held, taken back, put right; every step is checked."""
