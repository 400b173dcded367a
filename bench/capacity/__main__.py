"""Print tables of docs/scaling.md, without servers: `PYTHONPATH=bench .venv/bin/python -m capacity [table …]`."""

import sys

from capacity.tables import TABLES

names = sys.argv[1:] or list(TABLES)
if unknown := [name for name in names if name not in TABLES]:
    sys.exit(f"no such table: {', '.join(unknown)}; the tables are {', '.join(TABLES)}")
for name in names:
    sys.stdout.write(f"{name}\n\n{TABLES[name]()}\n\n")
