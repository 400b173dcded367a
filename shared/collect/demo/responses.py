"""Made-up responses to the demo's form, encoded as BSON.

A response is joined from pieces of BSON. The head (ids and times) is packed for each response. The person and the place
are encoded once and used several times in different pairs.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import bson
from pymongo import DESCENDING

from collect.demo import baseline, survey
from collect.storage import forms, organisations
from collect.storage.bulk_insert import Documents
from collect.storage.database import Database

ROWS_A_BLOCK = 10_000
BLOCKS_A_POOL = 10
"""Blocks that share the same pool of people and places."""
SEED = 2017

FIRST_DAY = datetime(2015, 8, 1, tzinfo=UTC)
LATE_DAY = datetime(2017, 8, 1, tzinfo=UTC)
END_DAY = datetime(2018, 1, 1, tzinfo=UTC)
EARLY_TENTHS = 9
"""Tenths of the responses that are from before ``LATE_DAY``."""

DAY_SECONDS = 24 * 3600
OPENING_SECONDS = 2 * 3600
OPEN_SECONDS = 12 * 3600
"""Responses arrive from 7:30 to 19:30 Indian time."""
SHORTEST_SECONDS = 8 * 60
LONGEST_SECONDS = 55 * 60

REVIEWS = ("approved", "pending", "flagged")
REVIEW_WEIGHTS = (82, 12, 6)
FLAG_REASONS = (
    "The interview was too short",
    "The place is far from the village",
    "The phone number belongs to another household",
    "Answers contradict each other",
)

_PEOPLE = 4 * 10**7
"""Number of different people. It is limited so that all ids have the same length."""
_ID_DIGITS = 12
_MILLISECONDS = 1_000
_END = b"\0"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The responses to make: ``rows`` responses of an organisation, numbered from ``first``.

    The same values give the same bytes. Other numbers and other organisations give other ids.
    """

    org_id: str
    rows: int
    seed: int = SEED
    first: int = 1

    @property
    def early(self) -> int:
        """How many responses are from before 2017-08-01: nine of ten, rounded down."""
        return self.rows * EARLY_TENTHS // 10


def prepare(db: Database, *, org_id: str) -> int:
    """Create the form if it is missing, and return the next free number of a made-up response.

    Raises:
        NotFound: the organisation does not exist.
    """
    forms.ensure(db, survey.form(organisations.get(db, org_id=org_id).id))
    ours = f"^{re.escape(response_id(org_id, 0)[:-_ID_DIGITS])}[0-9]{{{_ID_DIGITS}}}$"
    newest = db.responses.find_one({"_id": {"$regex": ours}}, {"_id": 1}, sort=[("_id", DESCENDING)])
    return 1 if newest is None else int(newest["_id"][-_ID_DIGITS:]) + 1


def response_id(org_id: str, number: int) -> str:
    """Return the id of the organisation's made-up response with that number. Ids sort by number."""
    return f"{org_id}-r{number:0{_ID_DIGITS}d}"


def blocks(batch: Batch) -> Iterator[Documents]:
    """Yield the responses, 10,000 at a time, by the time when they were submitted. Memory does not grow."""
    heads = _Heads(batch.org_id)
    people: list[bytes] = []
    places: list[bytes] = []
    for n, start in enumerate(range(0, batch.rows, ROWS_A_BLOCK)):
        rng = random.Random(f"{batch.seed}:{batch.first}:{start}:responses")
        if n % BLOCKS_A_POOL == 0:
            people, places = _pools(rng, batch, start)
        count = min(ROWS_A_BLOCK, batch.rows - start)
        data: list[bytes] = []
        for number, moment, person, place in zip(
            range(batch.first + start, batch.first + start + count),
            _moments(rng, batch, start, count),
            rng.choices(people, k=count),
            rng.choices(places, k=count),
            strict=True,
        ):
            took = SHORTEST_SECONDS + int(rng.random() * (LONGEST_SECONDS - SHORTEST_SECONDS))
            data += (heads.head(number, moment, took, len(person) + len(place)), person, place)
        yield Documents(data=b"".join(data), count=count)


def _moments(rng: random.Random, batch: Batch, start: int, count: int) -> Iterator[int]:
    """Yield the times of submission in seconds since 1970. They are spread evenly over the days and never go back."""
    early = batch.early
    turn = min(max(early - start, 0), count)
    yield from _spread(rng, range(start, start + turn), early, FIRST_DAY, LATE_DAY)
    late = range(start + turn - early, start + count - early)
    yield from _spread(rng, late, batch.rows - early, LATE_DAY, END_DAY)


def _spread(rng: random.Random, numbers: range, of: int, begin: datetime, end: datetime) -> Iterator[int]:
    """Yield a second at which the survey is open for each of ``numbers``, which are some of ``of`` numbers."""
    first = int(begin.timestamp()) + OPENING_SECONDS
    last = (end - begin).days * OPEN_SECONDS - 1
    jitter = rng.random
    for number in numbers:
        day, second = divmod(min(int((number + jitter()) * (last + 1) / of), last), OPEN_SECONDS)
        yield first + day * DAY_SECONDS + second


class _Heads:
    """Encodes the head of a response: its length, ids and times. They have the same offsets in all responses."""

    def __init__(self, org_id: str) -> None:
        self._id = response_id(org_id, 0)[:-_ID_DIGITS].encode()
        id_bytes = len(self._id) + _ID_DIGITS
        constant = {"org_id": org_id, "form_id": survey.FORM_ID, "form_version": survey.VERSION}
        self._labels = (
            _text("_id", id_bytes),
            _END + _elements(constant) + _text("response_id", id_bytes),
            _END + _moment("started_at"),
            _moment("submitted_at"),
            _moment("collected_on"),
            _text("respondent_id", 9),
            _END + _text("household_id", 8),
            _END,
        )
        values = (f"{id_bytes}s", f"{id_bytes}s", "q", "q", "q", "9s", "8s", "")
        pairs = zip(self._labels, values, strict=True)
        self._struct = struct.Struct("<i" + "".join(f"{len(label)}s{value}" for label, value in pairs))

    def head(self, number: int, submitted: int, took: int, behind: int) -> bytes:
        """Return the head of a response that continues with ``behind`` more bytes."""
        own, submitted_id, started, at, day, person, household, end = self._labels
        id_ = b"%b%012d" % (self._id, number)
        who = number % _PEOPLE
        return self._struct.pack(
            self._struct.size + behind,
            own,
            id_,
            submitted_id,
            id_,
            started,
            (submitted - took) * _MILLISECONDS,
            at,
            submitted * _MILLISECONDS,
            day,
            submitted // DAY_SECONDS * DAY_SECONDS * _MILLISECONDS,
            person,
            b"R%08d" % who,
            household,
            b"H%07d" % (who // baseline.PEOPLE_A_HOUSEHOLD),
            end,
        )


def _pools(rng: random.Random, batch: Batch, start: int) -> tuple[list[bytes], list[bytes]]:
    """Return the encoded people and places that follow a head. A place ends the response."""
    people_survey = baseline.Survey(rows=baseline.ROWS_A_BLOCK, seed=batch.seed, first=batch.first + start)
    people: list[bytes] = []
    places: list[bytes] = []
    for row in next(baseline.blocks(people_survey)):
        cells = dict(zip(baseline.COLUMNS, row, strict=True))
        people.append(_elements(_person(cells)))
        places.append(_elements({**_review(rng), **_place(cells)}) + _END)
    return people, places


def _person(cells: dict[str, str]) -> dict[str, Any]:
    names = ("respondent_name", "gender", "phone_number")
    return {**{name: cells[name] for name in names}, "age": int(cells["age"])}


def _place(cells: dict[str, str]) -> dict[str, Any]:
    names = ("state", "district", "block", "village", "team_name", "collector_phone", "status")
    return {
        **{name: cells[name] for name in names},
        "latitude": float(cells["latitude"]),
        "longitude": float(cells["longitude"]),
        "device_id": f"D{cells['collector_phone'][-8:]}",
    }


def _review(rng: random.Random) -> dict[str, Any]:
    status = rng.choices(REVIEWS, weights=REVIEW_WEIGHTS)[0]
    return {"review_status": status, "flag_reason": rng.choice(FLAG_REASONS) if status == "flagged" else None}


def _elements(values: dict[str, Any]) -> bytes:
    """Return a document's BSON elements without its length and its end."""
    return bson.encode(values)[4:-1]


def _text(name: str, size: int) -> bytes:
    """Return the BSON bytes before a text of ``size`` bytes."""
    return b"\x02" + name.encode() + _END + struct.pack("<i", size + 1)


def _moment(name: str) -> bytes:
    """Return the BSON bytes before a time."""
    return b"\x09" + name.encode() + _END
