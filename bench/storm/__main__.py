"""A storm: `make storm SEED=7 SECONDS=360`, or `python -m storm --seed 7 --seconds 360` with the folders on the path.

Starts servers of its own. Ends with a table, and with 1 when something does not hold, 2 when a server is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from stack.server import ServerMissing
from storm.run import storm
from storm.table import told

MISSING = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0, help="of acts; the rest takes minutes")
    parser.add_argument("--folder", type=Path, help="for the logs; else a temporary one")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="collect-storm-log-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = storm(seed=asked.seed, seconds=asked.seconds, folder=folder)
    except ServerMissing as missing:
        sys.stderr.write(f"{missing} is not on this machine: `make bootstrap` installs it\n")
        return MISSING
    sys.stdout.write(told(result) + f"\nLogs: {folder}\n")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
