"""Forms as they are shown: the organisation's own, and how many responses each of them has."""

from typing import Any

import pytest

from collect.admin.sending import send
from collect.demo import responses, survey
from collect.demo.responses import Batch
from collect.jobs.forms import FieldType, Form, FormField
from collect.storage import forms
from integration.gateway.calls import Api, problem
from integration.storage.failpoints import failing

MAX_TIME_EXPIRED = 50
ROWS = 1_500


@pytest.fixture(autouse=True)
def seeded(api: Api) -> None:
    """The demo's form in both organisations, with responses in the first."""
    for org_id in ("labs", "other"):
        forms.ensure(api.db, survey.form(org_id))
    add(api, ROWS)


def add(api: Api, rows: int, *, org_id: str = "labs") -> None:
    first = responses.prepare(api.db, org_id=org_id)
    send(api.db.responses, responses.blocks(Batch(org_id=org_id, rows=rows, first=first)), report=lambda _: None)


def shown(api: Api, key: str = "viewer") -> list[dict[str, Any]]:
    body = api.get("/v1/forms", key=key).get_json()
    assert body["next_cursor"] is None
    found: list[dict[str, Any]] = body["items"]
    return found


def test_a_form_is_shown_with_its_fields_and_the_number_of_its_responses(api: Api) -> None:
    (found,) = shown(api)
    assert found["id"] == found["form_id"] == "household-survey"
    assert (found["title"], found["version"]) == ("Household survey", 1)
    assert found["fields"] == [
        field.model_dump(mode="json", exclude_defaults=True) for field in survey.form("labs").fields
    ]
    assert (found["responses"], found["responses_exact"]) == (ROWS, True)
    add(api, 10)
    assert shown(api)[0]["responses"] == ROWS + 10


def test_an_organisation_sees_its_own_forms_and_counts_its_own_responses(api: Api) -> None:
    assert [found["responses"] for found in shown(api, "other viewer")] == [0]
    add(api, 7, org_id="other")
    assert [found["responses"] for found in shown(api, "other viewer")] == [7]
    assert [found["responses"] for found in shown(api)] == [ROWS]
    theirs = Form(
        org_id="other", form_id="theirs", title="T", version=1, fields=(FormField(name="a", type=FieldType.JSON),)
    )
    forms.ensure(api.db, theirs)
    assert [found["id"] for found in shown(api, "other viewer")] == ["household-survey", "theirs"]
    assert [found["id"] for found in shown(api)] == ["household-survey"]


def test_staff_see_the_forms_of_the_organisation_that_they_name(api: Api) -> None:
    answer = api.get("/v1/forms", key="platform", headers={"X-Organisation": "labs"})
    assert [found["responses"] for found in answer.get_json()["items"]] == [ROWS]
    problem(api.get("/v1/forms", key="platform"), 400)


def test_who_has_no_forms_has_an_empty_list(api: Api) -> None:
    api.db.forms.delete_many({"org_id": "other"})
    assert shown(api, "other viewer") == []


def test_responses_that_take_too_long_to_count_are_estimated_and_that_is_said(api: Api) -> None:
    with failing(api.db, "count", app_name="gateway", times=1, errorCode=MAX_TIME_EXPIRED):
        (found,) = shown(api)
    assert found["responses_exact"] is False
    assert ROWS / 2 <= found["responses"] <= ROWS * 2


def test_counting_reads_the_index_and_no_response(api: Api) -> None:
    asked = {"count": "responses", "query": {"org_id": "labs", "form_id": "household-survey"}}
    explained = api.db.db.command("explain", {**asked, "hint": "org_id_1_form_id_1_submitted_at_1__id_1"})
    assert "FETCH" not in str(explained["queryPlanner"]["winningPlan"])
    assert "COUNT_SCAN" in str(explained["queryPlanner"]["winningPlan"])
