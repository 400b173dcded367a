"""Counting what an export takes: exactly as far as that is quick, from the index alone, and never the whole of much."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from pymongo import monitoring

from collect.exporting.densities import KEYS, WINDOW_WALKS
from collect.exporting.selection import Selection
from collect.jobs.forms import FieldType, FormField
from collect.storage import indexes
from collect.storage.database import Database, connect
from collect.storage.estimates import count, estimate, samples
from integration.storage.failpoints import failing

ROWS = 40_000
FIRST = datetime(2015, 8, 1, tzinfo=UTC)
LATE = datetime(2017, 8, 1, tzinfo=UTC)
END = datetime(2018, 1, 1, tzinfo=UTC)
MAX_TIME_EXPIRED = 50
ALL = Selection(
    org_id="labs", form_id="survey", start=datetime(1, 1, 1, tzinfo=UTC), end=END, match={},
    columns=(FormField(name="n", type=FieldType.INTEGER),), format="csv", formula_safe=True,
)  # fmt: skip
HALF = replace(ALL, match={"$and": [{"odd": {"$eq": True}}]})
NONE = replace(ALL, form_id="none")


class Watch(monitoring.CommandListener):
    """The commands about responses that were sent."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command.get(event.command_name) == "responses" and event.command_name != "insert":
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """It is only asked what was sent."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """It is only asked what was sent."""


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str) -> Iterator[Database]:
    """Responses of which nine tenths lie before the late day, and as many of another form and organisation."""
    made = connect(mongodb_url, database=database_name, app_name="estimates")
    indexes.migrate(made)
    rng = random.Random(2017)
    early, late = (LATE - FIRST).total_seconds(), (END - LATE).total_seconds()
    for org_id, form_id in (("labs", "survey"), ("labs", "another"), ("other", "survey")):
        documents = []
        for n in range(ROWS):
            at = FIRST + timedelta(seconds=rng.random() * early)
            if n % 10 == 0:
                at = LATE + timedelta(seconds=rng.random() * late)
            place = {"org_id": org_id, "form_id": form_id, "submitted_at": at}
            documents.append({"_id": f"{org_id}-{form_id}-{n}", **place, "n": n, "odd": n % 4 < 2})
        made["responses"].insert_many(documents, ordered=False)
    yield made
    made.close()


@pytest.fixture
def watch(mongodb_url: str, database_name: str) -> Iterator[tuple[Database, Watch]]:
    listener = Watch()
    made = connect(mongodb_url, database=database_name, app_name="watched")
    watched = type(made.client)(mongodb_url, tz_aware=True, event_listeners=[listener])
    yield Database(client=watched, name=database_name), listener
    watched.close()
    made.close()


def test_up_to_the_bound_it_is_exact(db: Database) -> None:
    found = estimate(db, ALL, most=ROWS)
    assert (found.rows, found.in_range, found.exact, found.sampled) == (ROWS, ROWS, True, 0)
    late = estimate(db, replace(ALL, start=LATE))
    assert (late.rows, late.exact) == (ROWS // 10, True)
    assert estimate(db, NONE) == replace(found, rows=0, in_range=0)


def test_its_bounds_are_those_of_an_export(db: Database) -> None:
    document = db["responses"].find_one({"org_id": "labs", "form_id": "survey"}, {"submitted_at": 1}) or {}
    at, after = document["submitted_at"], document["submitted_at"] + timedelta(milliseconds=1)
    assert count(db, replace(ALL, start=at, end=after), most=10) == 1
    assert count(db, replace(ALL, start=after, end=after), most=10) == 0
    before = count(db, replace(ALL, end=at), most=ROWS)
    rest = count(db, replace(ALL, start=at), most=ROWS)
    assert (before or 0) + (rest or 0) == ROWS


@pytest.mark.parametrize("most", [1, 1_000, 20_000, ROWS - 1])
def test_beyond_the_bound_it_is_about_right_and_says_so(db: Database, most: int) -> None:
    found = estimate(db, ALL, most=most)
    assert not found.exact
    assert found.sampled > 0
    assert found.rows == pytest.approx(ROWS, rel=0.02)


def test_with_filters_it_counts_what_they_let_through(db: Database) -> None:
    found = estimate(db, HALF)
    assert (found.rows, found.in_range, found.exact) == (ROWS // 2, ROWS, True)
    late = estimate(db, replace(HALF, start=LATE))
    assert (late.rows, late.in_range) == (count(db, replace(HALF, start=LATE), most=ROWS), ROWS // 10)


def test_of_more_than_the_bound_it_takes_the_share_of_samples(db: Database) -> None:
    found = estimate(db, HALF, most=5_000)
    assert not found.exact
    assert found.rows == pytest.approx(ROWS / 2, rel=0.05)
    assert found.in_range == pytest.approx(ROWS, rel=0.02)


def test_a_count_that_takes_too_long_is_none(db: Database) -> None:
    with failing(db, "count", app_name="estimates", times=1, errorCode=MAX_TIME_EXPIRED):
        assert count(db, HALF, most=ROWS) is None


def test_a_server_too_busy_to_count_keys_is_asked_for_less(db: Database) -> None:
    with failing(db, "count", app_name="estimates", times=1, errorCode=MAX_TIME_EXPIRED):
        found = estimate(db, ALL)
    assert not found.exact
    assert found.rows == pytest.approx(ROWS, rel=0.02)


def test_a_count_stops_at_what_was_asked(db: Database) -> None:
    assert count(db, ALL, most=17) == 17
    assert count(db, HALF, most=17) == 17
    assert count(db, HALF, most=ROWS, filtered=False) == ROWS


def test_samples_come_from_all_over_and_match(db: Database) -> None:
    raw, rows = samples(db, HALF, places=20, rows=200)
    documents = bson.decode_all(raw)
    assert (len(documents), rows) == (200, 200)
    assert all(document["odd"] and document["form_id"] == "survey" for document in documents)
    assert {document["org_id"] for document in documents} == {"labs"}
    times = sorted(document["submitted_at"].replace(tzinfo=UTC) for document in documents)
    assert times[0] < FIRST + timedelta(days=60)
    assert sum(at >= LATE for at in times) in range(10, 41)
    assert samples(db, NONE, places=20, rows=200) == (b"", 0)


def test_each_response_is_sampled_once(db: Database) -> None:
    few = replace(ALL, end=FIRST + timedelta(minutes=300))
    total = count(db, few, most=ROWS)
    raw, rows = samples(db, few, places=20, rows=200)
    assert 0 < rows == len({document["_id"] for document in bson.decode_all(raw)}) == total
    assert rows < 200
    clustered = replace(ALL, match={"$and": [{"n": {"$lt": 300}}]})
    raw, rows = samples(db, clustered, places=20, rows=200)
    assert 0 < rows == len({document["_id"] for document in bson.decode_all(raw)}) <= 300


def test_every_query_has_its_time_and_follows_the_index(db: Database, watch: tuple[Database, Watch]) -> None:
    watched, listener = watch
    estimate(watched, HALF, most=1_000)
    samples(watched, HALF, places=3, rows=9)
    assert len(listener.commands) > 100
    for command in listener.commands:
        assert command["maxTimeMS"] > 0
        assert dict(command["hint"]) == dict(indexes.EXPORT_INDEX)


def test_counting_keys_reads_no_response(db: Database, watch: tuple[Database, Watch]) -> None:
    watched, listener = watch
    estimate(watched, ALL, most=1_000)
    read = []
    for command in random.Random(1).sample(listener.commands, 30):
        plain = {name: value for name, value in command.items() if name not in ("lsid", "$db", "$clusterTime")}
        plain.pop("$readPreference", None)
        plain.pop("readConcern", None)
        found = db.db.command("explain", plain, verbosity="executionStats")["executionStats"]
        assert found["totalDocsExamined"] == 0
        read.append(found["totalKeysExamined"])
    assert sorted(read)[len(read) // 2] <= 2 * WINDOW_WALKS * KEYS
