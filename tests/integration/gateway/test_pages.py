"""Every list comes in pages, the short ones too."""

from datetime import UTC, datetime
from typing import Any

import pytest

from collect.jobs.forms import FieldType, Form, FormField
from collect.messaging import topology
from collect.messaging.messages import Heartbeat, SlotReport
from collect.storage import forms, workers
from integration.gateway.calls import Api, fields, problem

NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def there(api: Api) -> None:
    """Three forms and three workers."""
    for name in NAMES:
        field = FormField(name="a", type=FieldType.JSON)
        forms.ensure(api.db, Form(org_id="labs", form_id=name, title="T", version=1, fields=(field,)))
    at = datetime.now(UTC)
    beats = [Heartbeat(worker_id=name, kind="upload", version="1", slots=[SlotReport()], at=at) for name in NAMES]
    workers.store(api.db, beats, received_at=at)


def read(api: Api, path: str, limit: int) -> list[list[dict[str, Any]]]:
    """The pages of a list, to its end."""
    pages, query = [], f"limit={limit}"
    while True:
        body = api.get(f"{path}?{query}").get_json()
        pages.append(body["items"])
        if body["next_cursor"] is None:
            return pages
        query = f"limit={limit}&cursor={body['next_cursor']}"


@pytest.mark.parametrize(
    ("path", "name", "names"),
    [("/v1/forms", "id", NAMES), ("/v1/workers", "id", NAMES), ("/v1/queues", "kind", topology.KINDS)],
)
def test_a_short_list_is_read_in_pages(api: Api, path: str, name: str, names: tuple[str, ...]) -> None:
    assert [[item[name] for item in page] for page in read(api, path, 2)] == [list(names[:2]), list(names[2:])]
    assert [[item[name] for item in page] for page in read(api, path, 3)] == [list(names)]
    assert [[item[name] for item in page] for page in read(api, path, 200)] == [list(names)]
    assert fields(problem(api.get(f"{path}?limit=201"), 422)) == ["limit"]
    problem(api.get(f"{path}?cursor=x"), 400, "bad_cursor")


def test_a_worker_that_goes_between_two_pages_hides_none_of_the_others(api: Api) -> None:
    first = api.get("/v1/workers?limit=2").get_json()
    api.db.workers.delete_one({"_id": "b"})
    rest = api.get(f"/v1/workers?limit=2&cursor={first['next_cursor']}").get_json()
    assert [worker["id"] for worker in rest["items"]] == ["c"]
