"""What the server does for an export: it follows one index between two of its keys, and reads only what it gives."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient, monitoring

from collect.exporting.selection import Selection, select
from collect.jobs.forms import FieldType, Form, FormField
from collect.storage import indexes, responses
from collect.storage.database import Database
from collect.storage.indexes import EXPORT_INDEX
from collect.storage.responses import BlockSize, Key
from export_worker import planning
from integration.export.counter import T0

ROWS = 3_000
AT_ONCE = 50
"""So many have one moment."""
SIZE = BlockSize(rows=200, bytes=1_000_000)
NO_FETCH = ("COLLSCAN", "FETCH", "SORT")
FORM = Form(
    org_id="labs", form_id="survey", title="x", version=1,
    fields=(
        FormField(name="response_id", type=FieldType.STRING), FormField(name="submitted_at", type=FieldType.DATETIME),
        FormField(name="age", type=FieldType.INTEGER), FormField(name="name", type=FieldType.STRING),
    ),
)  # fmt: skip

Document = dict[str, Any]


class Heard(monitoring.CommandListener):
    """The commands that ask for responses, as they were sent."""

    def __init__(self) -> None:
        self.commands: list[Document] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in ("find", "aggregate") and event.command[event.command_name] == "responses":
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """It is only asked what was sent."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """It is only asked what was sent."""


class Explained:
    """A query as the server has carried it out."""

    def __init__(self, db: Database, command: Document) -> None:
        asked = {name: value for name, value in command.items() if name not in ("lsid", "$db", "$clusterTime")}
        self._answer = db.db.command("explain", asked, verbosity="executionStats")
        statistics = next(_all(self._answer, "executionStats"))
        self.keys: int = statistics["totalKeysExamined"]
        self.documents: int = statistics["totalDocsExamined"]
        self.returned: int = statistics["nReturned"]

    @property
    def stages(self) -> set[str]:
        return set(_all(self._answer, "stage"))

    @property
    def indexes(self) -> list[Document]:
        """The keys of each index that was followed."""
        return list(_all(self._answer, "keyPattern"))


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def db(mongodb_url: str, database_name: str, heard: Heard) -> Iterator[Database]:
    """As many responses of a form as of another one and of another organisation's, many of them at one moment."""
    client: MongoClient[Document] = MongoClient(mongodb_url, tz_aware=True, tzinfo=UTC, event_listeners=[heard])
    made = Database(client=client, name=database_name)
    indexes.migrate(made)
    for org_id, form_id in (("labs", "survey"), ("labs", "another"), ("other", "survey")):
        made["responses"].insert_many(
            {
                "_id": f"{org_id}-{form_id}-{n:05d}", "org_id": org_id, "form_id": form_id, "age": n, "name": "x" * 400,
                "response_id": str(n), "submitted_at": T0 + timedelta(minutes=n // AT_ONCE),
            }
            for n in range(ROWS)
        )  # fmt: skip
    yield made
    made.close()


@pytest.fixture(autouse=True)
def forgotten(heard: Heard) -> None:
    """Each test hears its own commands only."""
    heard.commands.clear()


def test_planning_reads_the_index_and_no_response(db: Database, heard: Heard) -> None:
    chosen = _selection(from_date="2017-08-01T00:07:00Z")
    parts = [part for part in planning.plan(db, chosen, None, rows_of=lambda _: 700) if part is not None]
    rows = ROWS - 7 * AT_ONCE
    assert sum(part.total for part in parts) == rows
    found = _explained(db, heard)
    assert len(found) > len(parts)
    for each in found:
        assert not each.stages & set(NO_FETCH), each.stages
        assert each.documents == 0
    assert sum(each.keys for each in found) < rows + 700 + 4 * AT_ONCE, "each key once, and the last part's once more"


def test_a_part_is_one_query_along_the_index_that_reads_what_it_gives(db: Database, heard: Heard) -> None:
    start = Key(T0 + timedelta(minutes=3), "labs-survey-00170")
    end = Key(T0 + timedelta(minutes=40), "labs-survey-02010")
    given = sum(block.rows for block in responses.blocks(db, _selection(), start, end, size=SIZE))
    (found,) = _explained(db, heard)
    assert found.returned == found.documents == given == 2010 - 170
    assert found.keys <= given + 1
    assert "SORT" not in found.stages


def test_only_the_columns_that_are_wanted_are_sent_and_nothing_else_is_read(db: Database, heard: Heard) -> None:
    chosen = _selection(columns=["age"])
    blocks = list(responses.blocks(db, chosen, Key(T0), Key(chosen.end), size=SIZE))
    (found,) = _explained(db, heard)
    assert found.returned == found.documents == ROWS
    assert sum(len(block.raw) for block in blocks) < ROWS * 200


def test_filters_look_at_each_response_of_the_range_once_and_at_none_beside_it(db: Database, heard: Heard) -> None:
    chosen = _selection(filters=[{"field": "age", "op": "lt", "value": 5}])
    blocks = list(responses.blocks(db, chosen, Key(T0), Key(chosen.end), size=SIZE))
    found = _explained(db, heard)
    assert sum(each.returned for each in found if "FETCH" in each.stages) == sum(block.rows for block in blocks) == 5
    assert sum(each.documents for each in found) == sum(block.looked for block in blocks) == ROWS
    assert all(each.documents <= SIZE.rows for each in found), "no query looks at more than a window"
    assert all(each.documents == 0 for each in found if "FETCH" not in each.stages)


def test_what_goes_on_at_a_key_does_not_read_again_what_lies_before_it(db: Database, heard: Heard) -> None:
    chosen = _selection()
    first = next(responses.blocks(db, chosen, Key(T0), Key(chosen.end), size=SIZE))
    heard.commands.clear()
    rest = sum(block.rows for block in responses.blocks(db, chosen, first.following, Key(chosen.end), size=SIZE))
    (found,) = _explained(db, heard)
    assert found.documents == found.returned == rest == ROWS - SIZE.rows


def _selection(**params: Any) -> Selection:
    return select({"form_id": FORM.form_id, **params}, FORM, created_at=datetime(2018, 1, 1, tzinfo=UTC))


def _explained(db: Database, heard: Heard) -> list[Explained]:
    """Each query that was sent; all of them follow the export's index, and look at nothing else."""
    found = [Explained(db, command) for command in list(heard.commands)]
    for each in found:
        assert all(pattern == dict(EXPORT_INDEX) for pattern in each.indexes), each.indexes
        assert each.indexes or each.stages == {"EOF"}
        assert "COLLSCAN" not in each.stages
    return found


def _all(answer: Any, name: str) -> Iterator[Any]:
    """Every value of that name, however deep it stands."""
    if isinstance(answer, dict):
        if name in answer:
            yield answer[name]
        for value in answer.values():
            yield from _all(value, name)
    elif isinstance(answer, list):
        for value in answer:
            yield from _all(value, name)
