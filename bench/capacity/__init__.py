"""The capacity model of docs/scaling.md: constants, arithmetic, its tables, and measuring them on a running system."""
