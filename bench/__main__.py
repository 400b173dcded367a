"""Measure: `make bench`, or one of them, `make bench ONLY=upload ROWS=1000000`, on the servers of `make up`."""

from __future__ import annotations

import argparse

import control
import download
import exports
import first
import huge
import losses
import memory
import rest
import small
import spellings
import stopping
import suspicions
import teams
import upload
import verbs
from capacity import measured

BENCHES = {
    "upload": upload.main,
    "capacity": measured.main,
    "control": control.main,
    "download": download.main,
    "export": exports.main,
    "memory": memory.main,
    "verbs": verbs.main,
    "rest": rest.main,
    "losses": losses.main,
    "first": first.main,
    "huge": huge.main,
    "small": small.main,
    "spellings": spellings.main,
    "stopping": stopping.main,
    "teams": teams.main,
    "warnings": suspicions.main,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", choices=sorted(BENCHES), help="all of them without it")
    parser.add_argument("--rows", type=int, help="rows of the file, or how many files; each has its own default")
    asked = parser.parse_args()
    for name, bench in BENCHES.items():
        if asked.only in (None, name):
            bench(**({"rows": asked.rows} if asked.rows else {}))


if __name__ == "__main__":
    main()
