"""MongoDB, the truth: one module per collection, and the operations of the protocol on them."""
