"""An idempotency key belongs to one API key acting for one organisation. The same key elsewhere is another key."""

from dataclasses import replace

import pytest

from collect.storage import api_keys
from integration.gateway.calls import Api

SAME = {"Idempotency-Key": "the same"}


@pytest.fixture
def same(api: Api) -> Api:
    """The API, called with one idempotency key throughout."""
    return replace(api, headers=SAME)


def created(api: Api, **options: object) -> str:
    """Send a file under the idempotency key and return the id in the answer."""
    answer = api.call("POST", "/v1/files?name=same.csv", data=b"k\n1\n", **options)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


def test_the_same_key_and_body_of_one_caller_create_once(same: Api) -> None:
    assert created(same) == created(same)


def test_two_organisations_with_the_same_key_and_body_create_one_each(same: Api) -> None:
    assert created(same, key="operator") != created(same, key="other operator")


def test_two_api_keys_of_one_organisation_with_the_same_key_and_body_create_one_each(same: Api) -> None:
    second = api_keys.create(same.db, org_id="labs", name="second operator", role="operator").secret
    assert created(same, key="operator") != created(same, key=second)


def test_one_platform_key_that_acts_for_two_organisations_creates_one_in_each(same: Api) -> None:
    first, second = (
        created(same, key="platform", headers={"X-Organisation": organisation}) for organisation in ("labs", "other")
    )
    assert first != second
    assert same.get(f"/v1/files/{first}", key="operator").status_code == 200
    assert same.get(f"/v1/files/{second}", key="other operator").status_code == 200
    assert same.get(f"/v1/files/{second}", key="operator").status_code == 404
