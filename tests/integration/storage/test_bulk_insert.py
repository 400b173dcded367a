"""The contract of documents back to back with the installed PyMongo and a real server: the same as one by one."""

from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from collect.storage import bulk_insert
from collect.storage.bulk_insert import Documents
from collect.storage.database import Database, begin

SOME = [{"_id": f"é{number}", "n": number, "more": {"text": "x" * number}} for number in range(1_000)]


def insert(db: Database, *documents: dict[str, Any]) -> None:
    """As a view of a buffer, which is what a chunk's rows are."""
    raw = memoryview(b"".join(bson.encode(document) for document in documents))
    with db.client.start_session() as session, begin(session):
        bulk_insert.insert(db.rows, Documents(data=raw, count=len(documents)), session=session)


@pytest.fixture(params=["at once", "one by one"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the installed PyMongo lets us, and as one that would not."""
    if request.param == "one by one":
        monkeypatch.setattr(bulk_insert, "_goes_out_as_it_is", lambda: False)


def test_this_pymongo_sends_them_at_once(way: None, request: pytest.FixtureRequest) -> None:
    assert bulk_insert._goes_out_as_it_is() is ("at once" in request.node.name)


def test_all_of_them_are_inserted_as_they_are(db: Database) -> None:
    insert(db, *SOME)
    assert list(db.rows.find().sort("n")) == SOME


def test_without_a_session_each_is_inserted_for_itself(db: Database) -> None:
    db.rows.insert_one(SOME[3])
    with pytest.raises(BulkWriteError) as error:
        bulk_insert.insert(db.rows, Documents.of(RawBSONDocument(bson.encode(document)) for document in SOME))
    assert [failure["code"] for failure in error.value.details["writeErrors"]] == [11000]
    assert list(db.rows.find().sort("n")) == SOME


def test_none_is_nothing(db: Database) -> None:
    with db.client.start_session() as session, begin(session):
        bulk_insert.insert(db.rows, Documents.of([]), session=session)
    assert db.rows.count_documents({}) == 0


@pytest.mark.parametrize("size", [1_000_000, 9_000_000, 16 * 1024 * 1024 - 100])
def test_more_than_one_document_may_hold(db: Database, size: int) -> None:
    many = [{"_id": n, "text": "x" * size} for n in range(34_000_000 // size)]
    # Each for itself: whether the server can hold all of it in one transaction depends on what else it does.
    bulk_insert.insert(db.rows, Documents.of(RawBSONDocument(bson.encode(document)) for document in many))
    assert db.rows.count_documents({"text": {"$regex": f"^x{{{min(size, 30_000)}}}"}}) == len(many)


@pytest.mark.parametrize("taken", [0, 500, 999])
def test_one_that_is_there_already_undoes_the_transaction_as_insert_many_does(db: Database, taken: int) -> None:
    db.rows.insert_one(SOME[taken])
    with pytest.raises(BulkWriteError) as of_many, db.client.start_session() as session, begin(session):
        db.rows.insert_many(SOME, ordered=False, session=session)
    with pytest.raises(BulkWriteError) as error:
        insert(db, *SOME)
    assert [failure["code"] for failure in error.value.details["writeErrors"]] == [
        failure["code"] for failure in of_many.value.details["writeErrors"]
    ]
    assert db.rows.count_documents({}) == 1


def test_whoever_looks_at_its_fields_sees_the_first(db: Database) -> None:
    assert bulk_insert._BackToBack(bson.encode(SOME[1]) + bson.encode(SOME[2]))["_id"] == SOME[1]["_id"]
