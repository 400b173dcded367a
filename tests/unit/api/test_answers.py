"""The models of answers: what JSON they become, and what they are parsed from."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pydantic import TypeAdapter

from collect.api.answers import Warning, plain, rfc3339
from collect.api.jobs import Action, UndoPreview
from collect.api.previews import ExportPreview, TeamsPreview, UploadPreview, preview
from collect.jobs.states import Verb
from unit.client.scripted import ACTOR, AT, FILE


def test_fields_that_were_not_given_are_not_in_the_body() -> None:
    assert Warning(code="many_rejects", message="Many.").body() == {"code": "many_rejects", "message": "Many."}
    assert "conflict" not in UndoPreview(will_delete=1, will_restore=0, conflicts=0, seconds=0.1).body()


def test_times_in_any_field_have_milliseconds_and_numbers_that_json_lacks_are_null() -> None:
    at = datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=1)))
    body = Warning(code="a", message="b", evidence={"at": at, "numbers": [float("nan"), 1.5]}).body()
    assert body["evidence"] == {"at": "2026-01-31T08:30:00.000Z", "numbers": [None, 1.5]}
    assert plain((Verb.STOP,)) == ["stop"]
    assert rfc3339(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000Z"


def test_a_verb_of_a_newer_gateway_is_kept_and_a_known_one_is_a_verb() -> None:
    action: dict[str, Any] = {"actor": ACTOR, "reason": "r", "requested_at": AT}
    assert Action(verb="archive", **action).verb == "archive"
    assert Action.model_validate({"verb": "stop", **action}).verb is Verb.STOP


def test_fields_of_a_newer_gateway_are_passed_on() -> None:
    warning = Warning.model_validate({"code": "a", "message": "b", "severity": "high"})
    assert warning.body() == {"code": "a", "message": "b", "severity": "high"}


def test_every_field_is_described_as_required_but_those_that_are_there_sometimes() -> None:
    schema = TypeAdapter(Warning).json_schema(mode="serialization")
    assert schema["required"] == ["code", "message"]
    assert "additionalProperties" not in schema
    assert set(Action.model_json_schema(mode="serialization")["required"]) == set(Action.model_fields)


def test_a_preview_is_known_by_its_fields() -> None:
    assert type(preview({"ok": True, "exact": True, "bytes": 1})) is ExportPreview
    assert type(preview({"ok": True, "file": FILE})) is UploadPreview
    assert type(preview({"ok": True, "file": FILE, "teams": {}, "effects": []})) is TeamsPreview
