"""Arithmetic and simulation alone, without servers: `PYTHONPATH=bench python -m capacity [table …]`."""

from __future__ import annotations

import sys

from capacity.report import TABLES


def main() -> int:
    """Print the tables that are named, or all."""
    unknown = [name for name in sys.argv[1:] if name not in TABLES]
    if unknown:
        sys.stderr.write(f"no such table: {', '.join(unknown)}; there are {', '.join(TABLES)}\n")
        return 2
    for name in sys.argv[1:] or TABLES:
        sys.stdout.write(f"{name}\n\n{TABLES[name]()}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
