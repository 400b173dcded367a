"""`collect-admin seed responses` on a real server: each call adds so many more, of the same kind."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from collect.admin import demo
from collect.admin.cli import collect_admin
from collect.admin.connection import Admin
from collect.admin.sending import Sent, send
from collect.demo import responses, survey
from collect.demo.responses import ROWS_A_BLOCK, Batch
from collect.errors import Conflict, NotFound
from collect.storage import forms
from collect.storage.database import Database, connect
from support import protocol_driver

ROWS = 2_010
LATE = datetime(2017, 8, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection(mongodb_url: str, database_name: str) -> Iterator[Database]:
    db = connect(mongodb_url, database=database_name, app_name="test")
    yield db
    db.close()


@pytest.fixture
def db(connection: Database) -> Database:
    protocol_driver.prepare(connection, "labs", "other")
    return connection


@pytest.fixture
def stores(mongodb_url: str, database_name: str) -> dict[str, str]:
    return {"MONGODB_URL": mongodb_url, "MONGODB_DATABASE": database_name}


def seed(stores: dict[str, str], *words: str) -> Result:
    admin = Admin()
    try:
        return CliRunner().invoke(collect_admin, ["seed", *words], obj=admin, env=stores)
    finally:
        admin.db.close()


def test_each_call_adds_so_many_responses_nine_of_ten_from_before_the_right_date(
    db: Database, stores: dict[str, str]
) -> None:
    for calls in (1, 2, 3):
        told = seed(stores, "responses", "--rows", str(ROWS), "--json")
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout)["rows"] == ROWS
        assert f"{ROWS:,} of {ROWS:,} responses" in told.stderr
        mine = {"org_id": "labs", "form_id": "household-survey"}
        assert db.responses.count_documents(mine) == calls * ROWS
        early = {**mine, "submitted_at": {"$gte": datetime(2015, 8, 1, tzinfo=UTC), "$lt": LATE}}
        assert db.responses.count_documents(early) == calls * ROWS * 9 // 10


def test_what_is_there_is_what_was_made(db: Database, stores: dict[str, str]) -> None:
    seed(stores, "responses", "--rows", str(ROWS), "--seed", "7")
    made = b"".join(bytes(block.data) for block in responses.blocks(Batch(org_id="labs", rows=ROWS, seed=7)))
    batches: list[bytes] = list(db.responses.find_raw_batches({}).sort("_id", 1))  # type: ignore[arg-type]
    assert b"".join(batches) == made


def test_two_organisations_have_each_their_own(db: Database, stores: dict[str, str]) -> None:
    for org_id in ("other", "labs", "other"):
        assert seed(stores, "responses", "--rows", "10", "--org", org_id).exit_code == 0
    assert db.responses.count_documents({"org_id": "labs"}) == 10
    assert db.responses.count_documents({"org_id": "other"}) == 20


def test_numbers_go_on_behind_the_highest_of_the_organisation_and_mind_no_other_id(db: Database) -> None:
    assert responses.prepare(db, org_id="labs") == 1
    for id_ in ("labs-r000000000041", "labs-r1-r000000000099", "labs-rx", "labs2-r000000000077"):
        db.responses.insert_one({"_id": id_, "org_id": "labs"})
    assert responses.prepare(db, org_id="labs") == 42


def test_the_form_is_made_for_an_organisation_that_is_there_and_no_other(db: Database) -> None:
    responses.prepare(db, org_id="labs")
    assert forms.get(db, org_id="labs", form_id="household-survey") == survey.form("labs")
    with pytest.raises(NotFound, match="nobody"):
        responses.prepare(db, org_id="nobody")


def test_the_demo_has_its_form_in_both_organisations(db: Database) -> None:
    for _ in range(2):
        demo.seed(db, known={})
    for org_id in ("labs", "other"):
        assert [found.form_id for found in forms.all_of(db, org_id=org_id)] == ["household-survey"]


def test_ids_that_are_taken_are_refused_in_one_sentence(db: Database) -> None:
    told: list[Sent] = []
    made = list(responses.blocks(Batch(org_id="labs", rows=3 * ROWS_A_BLOCK)))
    send(db.responses, made[1:2], report=told.append)
    with pytest.raises(Conflict, match="10,000 responses were added") as error:
        send(db.responses, made, report=told.append)
    assert len(str(error.value)) < 200
    assert [sent.rows for sent in told] == [ROWS_A_BLOCK, ROWS_A_BLOCK]
    assert responses.prepare(db, org_id="labs") == 3 * ROWS_A_BLOCK + 1


def test_how_far_it_is_is_told_after_each_block(db: Database) -> None:
    told: list[Sent] = []
    send(db.responses, responses.blocks(Batch(org_id="labs", rows=2 * ROWS_A_BLOCK + 1)), report=told.append)
    assert [sent.rows for sent in told] == [ROWS_A_BLOCK, 2 * ROWS_A_BLOCK, 2 * ROWS_A_BLOCK + 1]
