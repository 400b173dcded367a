"""Access to MongoDB, which is the source of truth: one module per collection, and the blob store."""
