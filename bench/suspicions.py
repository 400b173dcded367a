"""How often mistakes in a file are told before it is uploaded, how often a good file is suspected, and what it takes.

    make bench ONLY=warnings ROWS=200

So many made-up files of each sort, by seeds behind those of the tests. No server is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from collect.checks import shifted, swapped
from collect.checks.warning import Warning
from rig import percentile, say
from support import file_generators, shifted_files

FILES = 200
FIRST_SEED = 10_000
LARGE = 10_000
SHIFT = 10


@dataclass
class Tally:
    """What was said of files of one sort."""

    name: str
    files: int = 0
    right: int = 0
    wrong: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, check: Callable[[], Sequence[Warning]], *, wanted: dict[str, object] | None) -> None:
        """``wanted``: the suggestion that corrects the file; ``None`` for a good one."""
        began = time.process_time()
        found = check()
        self.milliseconds.append((time.process_time() - began) * 1000)
        suggested = next((dict(each.suggestion) for each in found if each.suggestion), None)
        self.files += 1
        self.right += suggested == wanted and (wanted is not None or not found)
        self.wrong += suggested != wanted if found else 0

    def tell(self, what: str) -> None:
        say(
            f"{self.name}: n={self.files} {what}={self.right} ({self.right / self.files:.1%}) other={self.wrong} "
            f"p50={percentile(self.milliseconds, 0.5):.0f} p99={percentile(self.milliseconds, 0.99):.0f} "
            f"max={max(self.milliseconds):.0f} ms of processor time"
        )


def exchanged(seeds: range) -> None:
    good, wrong = Tally("uploads, good"), Tally("uploads, two columns exchanged")
    for seed in seeds:
        file = file_generators.good(seed)
        good.add(partial(swapped.find, file.columns, stored=file.stored, column_map={}), wanted=None)
        file = file_generators.swapped(seed)
        one, other = file.swapped or ("", "")
        wanted: dict[str, object] = {"column_map": {one: other, other: one}}
        wrong.add(partial(swapped.find, file.columns, stored=file.stored, column_map={}), wanted=wanted)
    good.tell("not suspected")
    wrong.tell("corrected")


def slipped(seeds: range, *, stored: bool) -> None:
    where = "beside stored ones" if stored else "the first"
    good, wrong = Tally(f"teams, {where}, good"), Tally(f"teams, {where}, slipped by 1 to 50 rows")
    for seed in seeds:
        file = shifted_files.good(seed, stored=stored)
        good.add(partial(shifted.find, file.names, file.columns), wanted=None)
        file = shifted_files.shifted(seed, stored=stored)
        moves: dict[str, object] = {"column_shift": dict(file.moves)}
        wrong.add(partial(shifted.find, file.names, file.columns), wanted=moves)
    good.tell("not suspected")
    wrong.tell("corrected")


def large() -> None:
    for stored in (True, False):
        tally = Tally(
            f"{LARGE:,} teams, {'beside stored ones' if stored else 'the first'}, managers slipped by {SHIFT}"
        )
        for seed in range(5, 15):
            file = shifted_files.shifted_at(LARGE, shift=SHIFT, seed=seed, stored=stored)
            columns = file.columns
            wanted: dict[str, object] = {"column_shift": {"manager_phone": -SHIFT}}
            tally.add(partial(shifted.find, file.names, columns), wanted=wanted)
        tally.tell("corrected")


def main(*, rows: int = FILES) -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + rows)
    exchanged(seeds)
    slipped(seeds, stored=True)
    slipped(seeds, stored=False)
    large()
