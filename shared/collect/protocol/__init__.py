"""The operations of docs/protocol.md: each is one transaction, or a compare-and-set on an epoch."""
