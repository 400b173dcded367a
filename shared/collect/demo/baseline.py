"""The demo's dataset ``baseline``: its template, and made-up survey data. The same seed gives the same data."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TextIO

from collect.demo import places
from collect.errors import InvalidInput
from collect.jobs.template import Template

NAME = "baseline"
KEY = ("respondent_id",)

TEMPLATE_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "respondent_id", "type": "string", "required": True},
    {"name": "household_id", "type": "string"},
    {"name": "respondent_name", "type": "string"},
    {"name": "gender", "type": "enum", "values": ["M", "F", "O"]},
    {"name": "age", "type": "integer", "minimum": 0, "maximum": 120},
    {"name": "phone_number", "type": "phone", "country": "IN"},
    {"name": "state", "type": "string"},
    {"name": "district", "type": "string"},
    {"name": "block", "type": "string"},
    {"name": "village", "type": "string"},
    {"name": "latitude", "type": "latitude", "minimum": 6, "maximum": 38},
    {"name": "longitude", "type": "longitude", "minimum": 68, "maximum": 98},
    {"name": "collected_on", "type": "date"},
    {"name": "team_name", "type": "string"},
    {"name": "collector_phone", "type": "phone", "country": "IN"},
    {"name": "status", "type": "string"},
)
"""The columns. The bounds of latitude and longitude do not overlap, so exchanged columns are noticed."""

COLUMNS: tuple[str, ...] = tuple(column["name"] for column in TEMPLATE_COLUMNS)

ROWS_A_BLOCK = 10_000
COLLECTORS_A_TEAM = 12
PEOPLE_A_HOUSEHOLD = 4
FIRST_DAY = date(2017, 4, 3)
DAYS = 90

MISTAKES: tuple[tuple[str, str], ...] = (
    ("age", "thirty"),
    ("phone_number", "12345"),
    ("gender", "X"),
    ("latitude", "512.5"),
    ("collected_on", "2017-02-31"),
    ("age", "340"),
    ("respondent_id", ""),
)
"""The invalid cells of rows that are to be rejected: column and cell, used in turn."""

Row = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The survey data to make. The same values give the same bytes; a longer survey begins with the shorter one's rows.

    ``swap``: two columns whose cells are exchanged, but not their headers. ``rejects``: every so many rows, one row has
    an invalid cell; 0 for none. ``first``: the number of the first respondent.
    """

    rows: int
    seed: int = 2017
    first: int = 1
    swap: tuple[str, str] | None = None
    rejects: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.swap or () if name not in COLUMNS]
        if unknown:
            raise InvalidInput(f"There is no column {unknown[0]!r}. Columns: {', '.join(COLUMNS)}.")
        if self.rejects < 0:
            raise InvalidInput("rejects is a positive number, or 0 for no invalid row.")

    @property
    def expected_rejects(self) -> int:
        """The number of rows with an invalid cell."""
        return self.rows // self.rejects if self.rejects else 0


def template() -> Template:
    """Return the template of the dataset."""
    return Template.model_validate({"key": KEY, "columns": TEMPLATE_COLUMNS})


def write_csv(survey: Survey, out: TextIO) -> None:
    """Write the survey with its header. Memory does not grow with the rows."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for block in blocks(survey):
        writer.writerows(block)


def save_csv(survey: Survey, path: Path) -> None:
    """Write the survey to a file."""
    with path.open("w", encoding="utf-8", newline="") as out:
        write_csv(survey, out)


def blocks(survey: Survey) -> Iterator[list[Row]]:
    """Yield the rows as cells of a CSV, 10,000 at a time."""
    for start in range(0, survey.rows, ROWS_A_BLOCK):
        rng = random.Random(f"{survey.seed}:{survey.first}:{start}")
        columns = _columns(rng, first=survey.first + start)
        if survey.rejects:
            _break(columns, survey, start)
        if survey.swap is not None:
            left, right = survey.swap
            columns[left], columns[right] = columns[right], columns[left]
        rows = zip(*(columns[name] for name in COLUMNS), strict=True)
        yield list(islice(rows, min(ROWS_A_BLOCK, survey.rows - start)))


def _columns(rng: random.Random, *, first: int) -> dict[str, list[str]]:
    count = ROWS_A_BLOCK
    numbers = range(first, first + count)
    districts = rng.choices(places.DISTRICTS, k=count)
    genders = rng.choices(("F", "M", "O"), weights=(520, 475, 5), k=count)
    given = {gender: cycle(rng.sample(names, len(names))) for gender, names in places.GIVEN_NAMES.items()}
    family = rng.choices(places.FAMILY_NAMES, k=count)
    stems, endings = rng.choices(places.VILLAGE_STEMS, k=count), rng.choices(places.VILLAGE_ENDINGS, k=count)
    random_number = rng.random
    return {
        "respondent_id": [f"R{number:08d}" for number in numbers],
        "household_id": [f"H{number // PEOPLE_A_HOUSEHOLD:07d}" for number in numbers],
        "respondent_name": [f"{next(given[gender])} {name}" for gender, name in zip(genders, family, strict=True)],
        "gender": genders,
        "age": [str(int(18 + 67 * random_number() ** 1.6)) for _ in numbers],
        "phone_number": [f"+91{9_000_000_000 + int(1e9 * random_number())}" for _ in numbers],
        "state": [district.state for district in districts],
        "district": [district.name for district in districts],
        "block": [district.blocks[int(len(district.blocks) * random_number())] for district in districts],
        "village": [stem + ending for stem, ending in zip(stems, endings, strict=True)],
        "latitude": [f"{district.latitude + 0.5 * random_number() - 0.25:.6f}" for district in districts],
        "longitude": [f"{district.longitude + 0.5 * random_number() - 0.25:.6f}" for district in districts],
        "collected_on": rng.choices(_DAYS, k=count),
        "team_name": [f"Team {district.name}" for district in districts],
        "collector_phone": [_collector(district, random_number()) for district in districts],
        "status": rng.choices(places.STATUSES, weights=places.STATUS_WEIGHTS, k=count),
    }


def _collector(district: places.District, at: float) -> str:
    """Return a phone of the district's team. The team's phones are the same in every file."""
    return f"+91{_TEAM_PHONES[district.name] + int(COLLECTORS_A_TEAM * at)}"


def _break(columns: dict[str, list[str]], survey: Survey, start: int) -> None:
    every = survey.rejects
    for number in range(start - start % every + every, start + ROWS_A_BLOCK + 1, every):
        column, cell = MISTAKES[number // every % len(MISTAKES)]
        columns[column][number - start - 1] = cell


_DAYS = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(DAYS)]
_TEAM_PHONES = {district.name: 9_431_000_000 + 1_000 * n for n, district in enumerate(places.DISTRICTS)}
