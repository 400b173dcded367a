"""What it takes to read the phones of a list of teams, by how they are spelt.

    make bench ONLY=spellings ROWS=10000

So many teams of ten people each, in processor time; a preview and a worker read them alike. No server is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from collect.csv import phones
from collect.demo.teams import LIST_SEPARATOR, Roster
from rig import told

MEMBERS = 10
TIMES = 5


def in_canada(phone: str) -> str:
    """As many numbers of a country that shares its calling code."""
    return f"+1604{2_000_000 + int(phone) % 8_000_000}"


SPELLINGS: dict[str, tuple[Callable[[str], str], str | None]] = {
    "9820000001": (str, "IN"),
    "98200 00001": (lambda phone: f"{phone[:5]} {phone[5:]}", "IN"),
    "+919820000001": ("+91{}".format, None),
    "+16042000001": (in_canada, None),
}


def main(*, rows: int = 10_000) -> None:
    for example, (spell, country) in SPELLINGS.items():
        seconds = []
        for nth in range(TIMES):  # others each time, since some are remembered
            roster = Roster(teams=rows, first=1 + nth * rows, members_each=MEMBERS)
            spelt = [spell(phone) for row in roster.rows() for phone in row[4].split(LIST_SEPARATOR)]
            began = time.process_time()
            found = phones.all_e164(spelt, country)
            seconds.append(1000 * (time.process_time() - began))
            assert all(found.values())
        told(f"{len(spelt):,} phones as {example}", seconds, "ms of processor time")
