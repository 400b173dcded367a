"""The invariants of the stores: one module for each subject."""
