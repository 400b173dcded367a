"""The files of a storm, and a simple model of them: what is in each row, and what shall become of it.

A file is described by a few numbers, and every cell is a function of them, so that a stored document can be compared
with the row that it comes from without reading anything.
"""

from __future__ import annotations

import csv
import gzip
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "code", "type": "string", "required": True},
    {"name": "said", "type": "string"},
    {"name": "age", "type": "integer", "minimum": 0, "maximum": 120},
    {"name": "seen_on", "type": "date"},
    {"name": "latitude", "type": "latitude"},
    {"name": "note", "type": "string"},
)
KEY = ("code",)
NAMES = tuple(column["name"] for column in COLUMNS)

NOTES = ("", "plain", 'with "quotes"', "two\nlines, and a comma", "ग्राम पंचायत", "x" * 300)
MISTAKES = (("code", ""), ("age", "thirty"), ("seen_on", "2017-02-31"), ("age", "340"))
FIRST_DAY = datetime(2017, 4, 3, tzinfo=UTC)
KEYS = 120_000
"""Keys that the files of one organisation share, so that jobs overlap."""


@dataclass(frozen=True, kw_only=True)
class Sheet(ABC):
    """One file. One row in ``bad`` is rejected, one in ``twice`` repeats the key of an earlier row; 0: none.

    ``corrected``: rows that were bad, and have been corrected in a job.
    """

    said_in: ClassVar[str]
    """The column that says which row of which file a record is: `name/row`, and maybe more behind a blank."""

    name: str
    org_id: str
    rows: int
    first: int
    bad: int
    twice: int
    zipped: bool
    corrected: frozenset[int] = frozenset()

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Not all files have all columns: what changes others leaves the rest as it is."""

    @abstractmethod
    def key_of(self, number: int) -> str:
        """The key that has this number among those of the organisation."""

    @abstractmethod
    def cells(self, row: int) -> dict[str, str]:
        """The row (from 1) as it stands in the file."""

    @abstractmethod
    def values(self, row: int) -> dict[str, Any]:
        """What is stored of the row, if it is."""

    @property
    def file_name(self) -> str:
        return f"{self.name}.csv.gz" if self.zipped else f"{self.name}.csv"

    def key(self, row: int) -> str:
        """The key of a row."""
        if self.twice and row % self.twice == 0:
            row = 1 + row // 2
        return self.key_of(self.first + row)

    def is_bad(self, row: int) -> bool:
        return bool(self.bad) and row % self.bad == 0 and row not in self.corrected

    @cached_property
    def bad_rows(self) -> frozenset[int]:
        return frozenset(row for row in range(1, self.rows + 1) if self.is_bad(row))

    @cached_property
    def first_rows(self) -> dict[str, int]:
        """Key → the first row, which counts where nothing is changed."""
        return {self.key(row): row for row in range(self.rows, 0, -1) if not self.is_bad(row)}

    @cached_property
    def last_rows(self) -> dict[str, int]:
        """Key → the last row, which an upsert leaves behind."""
        return {self.key(row): row for row in range(1, self.rows + 1) if not self.is_bad(row)}

    def save(self, folder: Path) -> Path:
        """Write it, once."""
        path = folder / self.file_name
        if self.zipped:
            with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=1) as out:
                csv.writer(out).writerows(self._lines())
        else:
            with path.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out).writerows(self._lines())
        return path

    def _lines(self) -> Iterator[list[str]]:
        yield list(self.columns)
        for row in range(1, self.rows + 1):
            yield list(self.cells(row).values())


@dataclass(frozen=True, kw_only=True)
class Shape(Sheet):
    """A file of rows of a dataset."""

    said_in = "said"

    noted: bool

    @property
    def columns(self) -> tuple[str, ...]:
        return NAMES if self.noted else NAMES[:-1]

    def key_of(self, number: int) -> str:
        return f"{self.org_id}-{number % KEYS:06d}"

    def cells(self, row: int) -> dict[str, str]:
        cells = {
            "code": self.key(row),
            "said": f"{self.name}/{row}",
            "age": "" if row % 11 == 0 else str(row % 100),
            "seen_on": (FIRST_DAY + timedelta(days=row % 90)).date().isoformat(),
            "latitude": f"{(row % 900) / 10:.1f}",
            "note": NOTES[row % len(NOTES)],
        }
        if self.is_bad(row):
            column, cell = MISTAKES[row // self.bad % len(MISTAKES)]
            cells[column] = cell
        return {name: cells[name] for name in self.columns}

    def values(self, row: int) -> dict[str, Any]:
        cells = self.cells(row)
        values: dict[str, Any] = {name: cell or None for name, cell in cells.items()}
        values["age"] = int(cells["age"]) if cells["age"] else None
        values["seen_on"] = datetime.fromisoformat(cells["seen_on"]).replace(tzinfo=UTC)
        values["latitude"] = float(cells["latitude"])
        return values


SIZES = ((40, 400), (40, 400), (1_000, 6_000), (1_000, 6_000), (10_000, 30_000), (30_000, 60_000))
"""Smallest and largest number of rows; each organisation has ``COPIES`` files of each."""
COPIES = 2


def shapes(rng: random.Random, *, org_id: str) -> list[Shape]:
    """The files of one organisation."""
    return [
        Shape(
            name=f"{org_id}-{n}",
            org_id=org_id,
            rows=rng.randint(*sizes),
            first=rng.randrange(KEYS // 6),
            bad=rng.choice((0, 0, 50, 17)),
            twice=rng.choice((0, 0, 23)),
            noted=rng.random() < 0.7,
            zipped=rng.random() < 0.3,
        )
        for n, sizes in enumerate(SIZES * COPIES)
    ]
