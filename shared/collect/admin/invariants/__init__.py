"""What must hold of the stores, whatever happens: one module for each subject, pure where it can be."""
