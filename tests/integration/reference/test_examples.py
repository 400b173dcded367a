"""The examples of the API reference are requests to a running system and its answers.

`make examples` records them anew.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from collect.admin import demo
from collect.demo import responses
from collect.storage import api_keys, bulk_insert
from collect.testing.system import System
from gateway import examples
from integration.gateway.described import DESCRIPTION
from integration.reference.recording import Book, differences
from integration.reference.story import play
from support.isolated_stores import Room

FILE = Path(examples.__file__).parent / "reference" / "examples.json"
RECORD = "COLLECT_RECORD_EXAMPLES"
RESPONSES = 40
SECRET = re.compile(r"ck_[0-9a-z]{20,}_\w+")


@pytest.fixture(scope="module")
def book(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """All calls, played against a gateway, a monitor and a worker of each kind."""
    with room("reference") as stores:
        system = System(**stores, folder=tmp_path_factory.mktemp("reference"))
        try:
            system.prepare("labs")
            seeded = demo.seed(system.db, known={})
            batch = responses.Batch(org_id="labs", rows=RESPONSES, first=responses.prepare(system.db, org_id="labs"))
            for block in responses.blocks(batch):
                bulk_insert.insert(system.db.responses, block)
            system.gateway()
            system.monitor()
            for kind in ("upload", "export", "teams"):
                system.worker(kind=kind, slots=1)
            viewer = api_keys.create(system.db, org_id="labs", name="dashboard", role="viewer").secret
            known = {"operator": seeded["COLLECT_API_KEY"], "admin": seeded["COLLECT_ADMIN_KEY"], "viewer": viewer}
            book = Book(url=system.url, keys=known)
            play(book)
            yield book
        finally:
            system.close()


def test_each_example_is_what_the_system_answers(book: Book) -> None:
    if os.environ.get(RECORD):
        FILE.write_text(json.dumps(book.examples, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        pytest.skip("recorded, not compared")
    found = differences(examples.recorded(), book.examples)
    assert not found, "`make examples` records them anew:\n" + "\n".join(found[:20])


@pytest.mark.parametrize(("method", "path"), DESCRIPTION.calls)
def test_each_call_has_an_example_that_succeeded(method: str, path: str) -> None:
    found = examples.recorded().get(f"{method} {path}", [])
    assert any(example["answer"]["status"] < 300 for example in found)


@pytest.mark.parametrize(("method", "path"), DESCRIPTION.calls)
def test_each_recorded_answer_fits_its_schema(method: str, path: str) -> None:
    for example in examples.recorded().get(f"{method} {path}", []):
        answer = example["answer"]
        content = DESCRIPTION.document["paths"][path][method]["responses"][str(answer["status"])].get("content", {})
        if isinstance(body := answer.get("body"), dict) and "application/json" in content:
            schema = {**content["application/json"]["schema"], "components": DESCRIPTION.document["components"]}
            jsonschema_rs.validate(schema, body)


def test_examples_stand_in_the_document(document: dict[str, Any]) -> None:
    create = document["paths"]["/v1/jobs"]["post"]
    assert "an upload" in create["requestBody"]["content"]["application/json"]["examples"]
    assert "an upload" in create["responses"]["202"]["content"]["application/json"]["examples"]
    refused = document["paths"]["/v1/jobs/{job_id}/stop"]["post"]["responses"]["409"]
    value = refused["content"]["application/problem+json"]["examples"]["a verb that is not allowed"]["value"]
    assert value["code"] == "verb_not_allowed"
    assert "allowed_verbs" in value


def test_every_recorded_example_is_shown(document: dict[str, Any]) -> None:
    for call, found in examples.recorded().items():
        method, _, path = call.partition(" ")
        for example in found:
            answer = document["paths"][path][method]["responses"][str(example["answer"]["status"])]
            assert example["name"] in answer["content"][example["answer"]["content_type"]]["examples"], call


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return DESCRIPTION.document


def test_no_example_holds_a_key() -> None:
    assert "ck_01k0000000000000000000000_secret" in FILE.read_text()
    assert len(set(SECRET.findall(FILE.read_text()))) == 1
