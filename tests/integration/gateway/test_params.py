"""Params of jobs that read a file: what is wrong whatever the file is refused at once, in the preview alike."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from collect.csv import encodings
from integration.gateway.calls import Api, fields, form, problem, upload

TEAMS = b"team_name,manager_phone\nTeam Pune,+919431000017\n"
ALL: dict[str, Any] = {
    "mode": "upsert", "encoding": "Shift_JIS", "delimiter": ";", "has_header": True, "skip_lines": 2, "trim": True,
    "blank": "keep", "decimal": ",", "date_formats": ["%d/%m/%Y", "%d %b %y"],
    "value_map": {"district": {"Puna": "Pune", "$set": "a.b", "": "none"}, "age": {"k.A.": None, "forty": 40}},
}  # fmt: skip
TEXTS = {**ALL["value_map"], "age": {"k.A.": "", "forty": "40"}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"column_map": {"Zila": "distrikt"}}, "params.column_map.Zila"),
    ({"column_map": {"a": "district", "b": "district"}}, "params.column_map.b"),
    ({"column_map": {"": "x"}}, "params.column_map."),
    ({"value_map": {"distrikt": {"a": "b"}}}, "params.value_map.distrikt"),
    ({"value_map": {"age": {"a\0": "1"}}}, "params.value_map.age.a\0.[key]"),
    ({"value_map": {"age": {"a": [1]}}}, "params.value_map.age.a"),
    ({"blank": "keep"}, "params.blank"),
    ({"date_formats": ["%d/%m/%Y", "%d/%m"]}, "params.date_formats.1"),
    ({"date_formats": ["DD.MM.YYYY"]}, "params.date_formats.0"),
    ({"encoding": "utf-7"}, "params.encoding"),
    ({"encoding": "base64"}, "params.encoding"),
    ({"delimiter": "tab"}, "params.delimiter"),
    ({"decimal": ";"}, "params.decimal"),
    ({"skip_lines": -1}, "params.skip_lines"),
    ({"skip_lines": True}, "params.skip_lines"),
    ({"trim": "yes"}, "params.trim"),
    ({"has_header": "false"}, "params.has_header"),
    ({"has_header": 0}, "params.has_header"),
    ({"blank": "leave"}, "params.blank"),
]


def asked(api: Api, kind: str, params: dict[str, Any], query: str = "") -> TestResponse:
    if kind == "upload":
        return api.post(f"/v1/jobs{query}", upload(api.file(), params=params))
    return api.post(f"/v1/jobs{query}", {"kind": "teams", "params": {"file_id": api.file(TEAMS), **params}})


@pytest.mark.parametrize(("params", "field"), WRONG, ids=[field for _, field in WRONG])
def test_what_is_wrong_whatever_the_file_is_refused_before_there_is_a_job(
    api: Api, params: dict[str, Any], field: str
) -> None:
    for query in ("", "?validate_only=true"):
        found = problem(asked(api, "upload", params, query), 422)
        assert fields(found) == [field]
        assert all(error["message"] for error in found["errors"])
    assert api.get("/v1/jobs").get_json()["items"] == []


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"column_map": {"Chef": "manager"}}, "params.column_map.Chef"),
        ({"column_map": {"Chef": "manager_phone", "Boss": "manager_phone"}}, "params.column_map.Boss"),
        ({"value_map": {"district": {}}}, "params.value_map.district"),
        ({"column_shift": {"phone": 1}}, "params.column_shift.phone.[key]"),
        ({"blank": "keep", "mode": "create"}, "params.blank"),
    ],
)
def test_the_same_holds_for_teams(api: Api, params: dict[str, Any], field: str) -> None:
    for query in ("", "?validate_only=true"):
        assert fields(problem(asked(api, "teams", params, query), 422)) == [field]


def test_a_wrong_target_says_which_columns_there_are(api: Api) -> None:
    (error,) = problem(asked(api, "upload", {"column_map": {"Zila": "distrikt"}}), 422)["errors"]
    assert error["code"] == "unknown_column"
    assert "'Zila' to 'distrikt'" in error["message"]
    assert "The columns are respondent_id, district, age." in error["message"]


def test_all_that_is_wrong_is_said_at_once(api: Api) -> None:
    params = {"column_map": {"a": "x", "b": "y"}, "value_map": {"z": {}}, "blank": "keep"}
    assert fields(problem(asked(api, "upload", params), 422)) == [
        "params.column_map.a", "params.column_map.b", "params.value_map.z", "params.blank",
    ]  # fmt: skip


def test_what_can_be_is_kept_as_it_was_given(api: Api) -> None:
    job = asked(api, "upload", ALL).get_json()
    assert {name: job["params"][name] for name in ALL} == {**ALL, "value_map": TEXTS}
    assert api.get(f"/v1/jobs/{job['id']}").get_json()["params"] == job["params"]


def test_a_restart_is_refused_alike(api: Api) -> None:
    parent = api.job()["id"]
    api.verb(parent, "terminate")
    for body in ({"column_map": {"x": "y"}}, {"blank": "keep"}, {"encoding": "klingon"}):
        found = problem(api.verb(parent, "restart", body={"params": body}), 422)
        assert fields(found)[0].startswith(f"params.{next(iter(body))}")
    kept = api.verb(parent, "restart", body={"params": ALL}).get_json()
    assert kept["params"]["value_map"] == TEXTS


def test_the_job_of_a_multipart_body_is_refused_alike(api: Api) -> None:
    job = '{"kind": "upload", "params": {"dataset": "baseline", "column_map": {"x": "y"}}}'
    found = problem(api.call("POST", "/v1/jobs", **form(file=b"x,district\n1,2\n", job=job)), 422)
    assert fields(found) == ["params.column_map.x"]


def test_each_encoding_can_be_asked_for(api: Api) -> None:
    file_id = api.file()
    for encoding in encodings.ENCODINGS:
        body = upload(file_id, params={"encoding": encoding})
        assert api.post("/v1/jobs?validate_only=true", body).status_code == 200, encoding
