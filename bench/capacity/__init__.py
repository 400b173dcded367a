"""The capacity model: arithmetic to be redone by hand, a simulation, and a check of both against a measured run."""
