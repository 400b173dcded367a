"""Responses to the demo's form, made up: as many as are wanted, encoded as they go to the database.

A response is pieces of BSON joined. What differs in each (its id, its times) is packed at once; who answered and where
are pieces that were encoded before, and each of them is used several times, never in the same pairs.
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
"""So many blocks are made of the same people and places before there are others."""
SEED = 2017

FIRST_DAY = datetime(2015, 8, 1, tzinfo=UTC)
LATE_DAY = datetime(2017, 8, 1, tzinfo=UTC)
END_DAY = datetime(2018, 1, 1, tzinfo=UTC)
EARLY_TENTHS = 9
"""So many tenths of the responses are from before the late day."""

DAY_SECONDS = 24 * 3600
OPENING_SECONDS = 2 * 3600
OPEN_SECONDS = 12 * 3600
"""Responses come in from half past seven in the morning to half past seven in the evening, in India."""
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
"""After so many people the first ones answer again: their ids have one length."""
_ID_DIGITS = 12
_MILLISECONDS = 1_000
_END = b"\0"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to make: ``rows`` responses of an organisation, of which the first has the number ``first``.

    The same values give the same bytes. Other numbers, and other organisations, have other ids.
    """

    org_id: str
    rows: int
    seed: int = SEED
    first: int = 1

    @property
    def early(self) -> int:
        """How many of them are from before 2017-08-01: nine of ten, rounded down."""
        return self.rows * EARLY_TENTHS // 10


def prepare(db: Database, *, org_id: str) -> int:
    """Make the form if it is missing. Returns the number behind the highest that a made-up response has.

    Raises:
        NotFound: there is no such organisation.
    """
    forms.ensure(db, survey.form(organisations.get(db, org_id=org_id).id))
    ours = f"^{re.escape(response_id(org_id, 0)[:-_ID_DIGITS])}[0-9]{{{_ID_DIGITS}}}$"
    found = db.responses.find_one({"_id": {"$regex": ours}}, {"_id": 1}, sort=[("_id", DESCENDING)])
    return 1 if found is None else int(found["_id"][-_ID_DIGITS:]) + 1


def response_id(org_id: str, number: int) -> str:
    """The id of the organisation's made-up response of that number. Ids sort as their numbers do."""
    return f"{org_id}-r{number:0{_ID_DIGITS}d}"


def blocks(wanted: Wanted) -> Iterator[Documents]:
    """The responses, some thousands at a time, in the order in which they were submitted. Memory stays flat."""
    heads = _Heads(wanted.org_id)
    people: list[bytes] = []
    places: list[bytes] = []
    for n, start in enumerate(range(0, wanted.rows, ROWS_A_BLOCK)):
        rng = random.Random(f"{wanted.seed}:{wanted.first}:{start}:responses")
        if n % BLOCKS_A_POOL == 0:
            people, places = _pools(rng, wanted, start)
        count = min(ROWS_A_BLOCK, wanted.rows - start)
        data: list[bytes] = []
        for number, moment, person, place in zip(
            range(wanted.first + start, wanted.first + start + count),
            _moments(rng, wanted, start, count),
            rng.choices(people, k=count),
            rng.choices(places, k=count),
            strict=True,
        ):
            took = SHORTEST_SECONDS + int(rng.random() * (LONGEST_SECONDS - SHORTEST_SECONDS))
            data += (heads.head(number, moment, took, len(person) + len(place)), person, place)
        yield Documents(data=b"".join(data), count=count)


def _moments(rng: random.Random, wanted: Wanted, start: int, count: int) -> Iterator[int]:
    """When the responses were submitted, in seconds since 1970: evenly over the days, and never going back."""
    early = wanted.early
    turn = min(max(early - start, 0), count)
    yield from _spread(rng, range(start, start + turn), early, FIRST_DAY, LATE_DAY)
    late = range(start + turn - early, start + count - early)
    yield from _spread(rng, late, wanted.rows - early, LATE_DAY, END_DAY)


def _spread(rng: random.Random, numbers: range, of: int, begin: datetime, end: datetime) -> Iterator[int]:
    """For each of ``numbers``, which are some of ``of``, a second at which the survey is open."""
    first = int(begin.timestamp()) + OPENING_SECONDS
    last = (end - begin).days * OPEN_SECONDS - 1
    jitter = rng.random
    for number in numbers:
        day, second = divmod(min(int((number + jitter()) * (last + 1) / of), last), OPEN_SECONDS)
        yield first + day * DAY_SECONDS + second


class _Heads:
    """What each response begins with: its length, its ids and times, which have the same places in all of them."""

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
        """The beginning of a response behind which ``behind`` more bytes stand."""
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


def _pools(rng: random.Random, wanted: Wanted, start: int) -> tuple[list[bytes], list[bytes]]:
    """Who answered, and where: the pieces that stand behind a head. The last one ends the response."""
    made = baseline.Survey(rows=baseline.ROWS_A_BLOCK, seed=wanted.seed, first=wanted.first + start)
    people: list[bytes] = []
    places: list[bytes] = []
    for row in next(baseline.blocks(made)):
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
    """A document's elements, without what is around them."""
    return bson.encode(values)[4:-1]


def _text(name: str, size: int) -> bytes:
    """What stands before a text of ``size`` bytes."""
    return b"\x02" + name.encode() + _END + struct.pack("<i", size + 1)


def _moment(name: str) -> bytes:
    """What stands before a time."""
    return b"\x09" + name.encode() + _END
