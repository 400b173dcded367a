import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest

from collect.client.api import TeamsApi
from collect.client.cli.console import Shell
from collect.client.errors import Refused
from collect.client.jobs import JobsApi
from unit.client.commandline import run
from unit.client.scripted import Scripted, Time, answering, job, problem, transport

ROWS = [{"row": 17, "values": {"manager_phone": "+919431000017"}}]


def test_corrected_rows_go_into_the_job_that_rejected_them() -> None:
    gateway = Scripted(answering(202, job(state="queued")))

    found = JobsApi(transport=transport(gateway)).correct("01kj", rows=ROWS, reason="Read again")

    assert (found.id, found.state) == ("01kj", "queued")
    assert urlsplit(gateway.requests[0].url or "").path == "/v1/jobs/01kj/corrections"
    assert json.loads(gateway.bodies[0]) == {"reason": "Read again", "rows": ROWS}


def test_a_corrected_file_goes_with_its_reason_and_again_under_the_same_key_when_nobody_answers(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("row,team_name\n17,Team Pune\n")
    gateway = Scripted(answering(503, problem(503)), answering(202, job()))

    JobsApi(transport=transport(gateway, Time())).correct("01kj", path=path, reason="Read again")

    first, second = gateway.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    for request, body in zip(gateway.requests, gateway.bodies, strict=True):
        assert request.headers["Content-Type"].startswith("multipart/form-data")
        assert b'name="reason"\r\n\r\nRead again\r\n' in body
        assert b'name="file"; filename="rejects.csv"\r\nContent-Type: text/csv\r\n\r\nrow,team_name\n17,' in body


def test_what_is_corrected_is_said_once(tmp_path: Path) -> None:
    jobs = JobsApi(transport=transport(Scripted()))

    with pytest.raises(ValueError, match="rows, or in the file"):
        jobs.correct("01kj")
    with pytest.raises(ValueError, match="rows, or in the file"):
        jobs.correct("01kj", rows=ROWS, path=tmp_path / "rejects.csv")


def test_the_command_sends_the_file_and_waits_for_the_job_that_was_corrected(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("row,team_name\n17,Team Pune\n")
    gateway = Scripted(answering(202, job(state="queued")), answering(200, job(state="succeeded")))

    ran = run(gateway, "jobs", "correct", "01kj", path, "--wait", "--json")

    assert (ran.code, json.loads(ran.out)["state"]) == (0, "succeeded")
    assert urlsplit(gateway.requests[0].url or "").path == "/v1/jobs/01kj/corrections"


def test_the_command_says_in_which_encoding_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_bytes("row,team_name\n17,Pöna\n".encode("cp1252"))
    gateway = Scripted(answering(202, job(state="queued")))

    assert run(gateway, "jobs", "correct", "01kj", path, "--encoding", "cp1252").code == 0
    assert b'name="encoding"\r\n\r\ncp1252\r\n' in gateway.bodies[0]


SUMMARY = {
    "items": [
        {"field": "", "code": "wrong_number_of_cells", "count": 1, "distinct": 0, "values": [], "more": 0},
        {"field": "district", "code": "not_in_values", "count": 4, "distinct": 3, "more": 1,
         "values": [{"value": "Puna", "count": 3}, {"value": "Pune ", "count": 1}]},
    ],
    "value_map": {"district": {"Puna": "Puna", "Pune ": "Pune "}}, "rejected": 12, "stored": 5, "examined": 5,
}  # fmt: skip
PAGE: dict[str, Any] = {"items": [], "next_cursor": None, "rejected": 12, "stored": 5}
MAP = {"district": {"Puna": "Pune"}}


def test_a_map_of_values_goes_alone_or_with_rows() -> None:
    gateway = Scripted(answering(202, job()), answering(202, job()))
    jobs = JobsApi(transport=transport(gateway))
    jobs.correct("01kj", value_map=MAP)
    jobs.correct("01kj", value_map=MAP, rows=ROWS, change_keys=True)
    assert json.loads(gateway.bodies[0]) == {"value_map": MAP}
    assert json.loads(gateway.bodies[1]) == {"value_map": MAP, "rows": ROWS, "change_keys": True}


def test_the_command_corrects_by_a_table_of_values(tmp_path: Path) -> None:
    table = tmp_path / "values.csv"
    table.write_text("column,code,value,count,replacement\ndistrict,not_in_values,Puna,3,Pune\nage,x,k,1,\n")
    gateway = Scripted(answering(202, job(state="queued")))

    ran = run(gateway, "correct", "01kj", "--map", table, "--map", '{"age": {"-5": null}}', "--reason", "spelling")

    assert ran.code == 0
    assert json.loads(gateway.bodies[0]) == {"reason": "spelling", "value_map": {**MAP, "age": {"-5": None}}}
    assert "lines left out because they have no replacement: 1" in ran.err


def test_the_command_says_how_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("x\nrow\tteam_name\n17\tPune\n")
    gateway = Scripted(answering(202, job(state="queued")))
    how = (
        "--delimiter", "tab", "--skip-lines", "1", "--change-keys", "--decimal", ",", "--date-format", "%d.%m.%Y",
        "--trim", "--blank", "keep", "--has-header",
    )  # fmt: skip
    assert run(gateway, "jobs", "correct", "01kj", path, *how).code == 0
    for name, value in (
        ("delimiter", "\t"), ("skip_lines", "1"), ("change_keys", "true"), ("decimal", ","), ("trim", "true"),
        ("date_formats", '["%d.%m.%Y"]'), ("blank", "keep"), ("has_header", "true"),
    ):  # fmt: skip
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in gateway.bodies[0]


def test_the_command_takes_a_file_or_a_table_or_both(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("a,b\n")
    gateway = Scripted(answering(202, job(state="queued")))
    assert run(gateway, "correct", "01kj", path, "--map", f"district={path}").code == 0
    assert b'name="value_map"\r\n\r\n{"district": {"a": "b"}}\r\n' in gateway.bodies[0]
    with pytest.raises(click.UsageError, match="FILE with the corrected rows, or --map"):
        run(Scripted(), "correct", "01kj")


def test_a_preview_says_what_would_be_corrected_and_corrects_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("row,k\n1,b\n")
    warning = {
        "code": "key_changed",
        "message": "1 row would be written with another key.",
        "evidence": {"not_wrong": 1},
    }
    gateway = Scripted(answering(200, {"ok": True, "rows": 1, "warnings": [warning], "errors": [], "conflict": None}))

    ran = run(gateway, "correct", "01kj", path, "--preview")

    assert (ran.code, urlsplit(gateway.requests[0].url or "").query) == (0, "validate_only=true")
    assert "1 rejected row would run once more.\nWarning: 1 row would be written with another key." in ran.err


def test_every_warning_is_shown_and_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("row,k\n1,b\n")
    told = [{"code": code, "message": f"{code} [1]."} for code in ("row_replaced", "cells_changed", "quoted_lines")]
    rejects = {
        "rejected_rows": 1,
        "items": [{"row": 1, "field": "k", "code": "duplicate_key", "message": "k 'b' is that of row 2."}],
    }
    preview = answering(200, {"ok": True, "rows": 1, "warnings": told, "errors": [], "rejects": rejects})

    ran = run(Scripted(preview), "correct", "01kj", path, "--preview")

    assert ran.code == 0
    for warning in told:
        assert f"Warning: {warning['message']}\n" in ran.err
    assert "1 of them would be rejected again:\n  row 1: k 'b' is that of row 2.\n" in ran.err
    gateway = Scripted(answering(202, job(state="queued")))
    assert run(gateway, "correct", "01kj", path).code == 0
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("warning", "question", "sent"),
    [
        ({"code": "cells_changed"}, "Correct them all the same?", False),
        ({"code": "row_replaced"}, "Correct them all the same?", False),
        ({"code": "key_changed", "evidence": {"not_wrong": 1}}, "Correct them with these keys?", True),
    ],
)
def test_on_a_terminal_a_warning_is_shown_and_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warning: dict[str, Any], question: str, sent: bool
) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("row,k\n1,b\n")
    monkeypatch.setattr(Shell, "interactive", True)
    preview = {"ok": True, "rows": 1, "warnings": [{**warning, "message": "It changes."}], "errors": []}
    refused = Scripted(answering(200, preview))
    with pytest.raises(click.Abort):
        run(refused, "correct", "01kj", path)
    assert len(refused.requests) == 1
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return True

    monkeypatch.setattr(click, "confirm", confirm)
    taken = Scripted(answering(200, preview), answering(202, job(state="queued")))

    ran = run(taken, "correct", "01kj", path)

    assert (ran.code, asked, len(taken.requests)) == (0, [question], 2)
    assert "Warning: It changes.\n" in ran.err
    assert (b'name="change_keys"' in taken.bodies[1]) == sent


def test_a_key_that_changes_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("row,k\n1,b\n")
    refusal = problem(409, "key_changed", detail="1 row would be written with another key.")
    with pytest.raises(Refused, match="another key"):
        run(Scripted(answering(409, refusal)), "correct", "01kj", path)


def test_rejects_are_summed_up_by_their_values(tmp_path: Path) -> None:
    ran = run(Scripted(answering(200, SUMMARY), answering(200, PAGE)), "rejects", "01kj", "--summary")
    assert "the row as a whole: wrong_number_of_cells, 1 row\n" in ran.out
    assert "district: not_in_values, 4 rows\n" in ran.out
    assert "'Puna'   3" in ran.out
    assert "and 1 other values" in ran.out
    assert "12 rows were rejected; 5 of them are stored" in ran.err

    machine = run(Scripted(answering(200, SUMMARY), answering(200, PAGE)), "rejects", "01kj", "--summary", "--json")
    assert json.loads(machine.out)["value_map"] == SUMMARY["value_map"]


def test_what_became_of_corrected_rows_is_told_revision_by_revision() -> None:
    wrong = {"row": 17, "revision": 1, "code": "not_a_phone", "message": "manager_phone '12' is no phone number."}
    corrected = {"line": "Team Pune,12", "corrected_line": "Team Pune,9431000017", "became": "written", "audit_seq": 3}
    gateway = Scripted(answering(200, {"items": [{**wrong, **corrected, "at": "2017-08-01T10:00:00.000Z"}]}))

    ran = run(gateway, "jobs", "corrections", "01kj", "--row", 17)

    assert parse_qs(urlsplit(gateway.requests[0].url or "").query)["row"] == ["17"]
    assert "not_a_phone" in ran.out
    assert "Team Pune,9431000017  written  2017-08-01 10:00:00 UTC" in ran.out


def test_a_team_is_asked_for_by_any_name_it_may_have() -> None:
    gateway = Scripted(answering(200, {"name": "North/2?", "managers": [{"phone": "+919431000017"}]}))

    team = TeamsApi(transport=transport(gateway)).get("North/2?")

    assert (gateway.requests[0].url or "").endswith("/v1/teams/North%2F2%3F")
    assert [manager.phone for manager in team.managers] == ["+919431000017"]


def test_teams_are_listed_by_the_beginning_of_their_names() -> None:
    found = {"items": [{"name": "Team Pune", "members": [{"phone": f"+9194310000{n}"} for n in range(5)]}]}
    gateway = Scripted(answering(200, found))

    ran = run(gateway, "teams", "list", "--name", "Team P")

    assert parse_qs(urlsplit(gateway.requests[0].url or "").query)["name"] == ["Team P"]
    assert "+91943100002, …" in ran.out
