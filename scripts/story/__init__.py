"""The story that `make demo` plays: a wrong file is started, held, taken back, replaced; every step is checked."""
