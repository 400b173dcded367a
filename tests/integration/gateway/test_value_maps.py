"""Rejects are summed up by their values, and a map made of that corrects all of them in one request."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

import pytest

from collect.csv import corrections
from collect.jobs.states import State, Verb
from gateway.jobs import reject_summary
from integration.gateway import corrected
from integration.gateway.calls import TEMPLATE, Api, fields, form, problem
from support.corrections import CorrectedJob

COLUMNS = [
    {"name": "respondent_id", "type": "string", "required": True},
    {"name": "district", "type": "enum", "values": ["Pune", "Nashik"]},
    {"name": "age", "type": "integer", "minimum": 0, "maximum": 120},
]
HEADER = "respondent_id;district;age\n"
BAD = HEADER + 'r-1;Puna;31\nr-2;Nashik;44\nr-3;"Pune ";k.A.\nr-4;Puna;-5\nr-7;Nashik;7\nr-5;Puna\nr-6;Puna;31\n'


@pytest.fixture
def made(api: Api) -> CorrectedJob:
    answer = api.call("PUT", "/v1/datasets/baseline", json={**TEMPLATE, "columns": COLUMNS}, key="admin")
    assert answer.status_code == 200, answer.text
    made = corrected.succeeded(api, BAD.encode())
    assert made.counts == (2, 5)
    return made


def summary(api: Api, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v1/jobs/{job_id}/rejects?summary=true").get_json()
    return found


def correct(api: Api, made: CorrectedJob, body: dict[str, Any], query: str = "", **options: Any) -> Any:
    return api.post(f"/v1/jobs/{made.job_id}/corrections{query}", body, **options)


def test_what_is_wrong_is_summed_up_by_column_and_code(api: Api, made: CorrectedJob) -> None:
    found = summary(api, made.job_id)
    ways = [(item["field"], item["code"], item["count"], item["distinct"], item["more"]) for item in found["items"]]
    assert ways == [
        ("", "wrong_number_of_cells", 1, 0, 0),
        ("district", "not_in_values", 4, 2, 0),
        ("age", "not_an_integer", 1, 1, 0),
        ("age", "out_of_range", 1, 1, 0),
    ]  # fmt: skip
    assert found["items"][1]["values"] == [{"value": "Puna", "count": 3}, {"value": "Pune ", "count": 1}]
    assert (found["rejected"], found["stored"], found["examined"]) == (5, 5, 5)
    assert found["value_map"] == {
        "district": {"Puna": "Puna", "Pune ": "Pune "}, "age": {"k.A.": "k.A.", "-5": "-5"},
    }  # fmt: skip


def test_a_map_made_of_the_summary_corrects_all_of_them_in_one_request(api: Api, made: CorrectedJob) -> None:
    value_map = summary(api, made.job_id)["value_map"]
    filled = {"district": dict.fromkeys(value_map["district"], "Pune"), "age": {"k.A.": None, "-5": 5}}
    answer = correct(api, made, {"value_map": filled, "reason": "spelling"})
    assert (answer.status_code, answer.get_json()["state"]) == (202, "queued")
    made.run()
    assert (made.job.state, made.counts) == (State.SUCCEEDED, (6, 1))
    assert made.rows()["r-3"]["values"] == {"respondent_id": "r-3", "district": "Pune", "age": None}
    assert made.rows()["r-4"]["values"] == {"respondent_id": "r-4", "district": "Pune", "age": 5}
    assert sorted(made.rejected()) == [6]
    assert [item["code"] for item in summary(api, made.job_id)["items"]] == ["wrong_number_of_cells"]


def test_rows_that_are_still_wrong_are_rejected_again_for_the_rest(api: Api, made: CorrectedJob) -> None:
    assert correct(api, made, {"value_map": {"district": {"Puna": "Pune", "Pune ": "Pune"}}}).status_code == 202
    made.run()
    left = {row: reject["errors"] for row, reject in made.rejected().items()}
    assert {row: [error["field"] for error in errors] for row, errors in left.items()} == {
        3: ["age"],
        4: ["age"],
        6: [""],
    }
    assert correct(api, made, {"value_map": {"age": {"k.A.": 1, "-5": 5}}}).status_code == 202
    made.run()
    assert made.counts == (6, 1)


@pytest.mark.parametrize(
    "value_map",
    [{"district": {"Mumbai": "Pune"}}, {"district": {}}, {"district": {"Puna": "Puna"}}, {"age": {"31": 32}}],
)
def test_a_map_that_matches_nothing_is_422_and_says_so(
    api: Api, made: CorrectedJob, value_map: dict[str, dict[str, Any]]
) -> None:
    found = problem(correct(api, made, {"value_map": value_map}), 422, "nothing_matches")
    assert fields(found) == ["value_map"]
    assert next(iter(value_map)) in found["detail"]
    assert made.job.corrections == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"value_map": {"distrikt": {"a": "b"}}}, "value_map.distrikt"),
        ({"value_map": {}}, "value_map"),
        ({"value_map": {"district": {"Puna": ["Pune"]}}}, "value_map.district.Puna"),
        ({"value_map": {"district": "Pune"}}, "value_map.district"),
        ({"reason": "nothing"}, "rows"),
    ],
)
def test_a_map_that_is_wrong_in_itself_is_422(api: Api, made: CorrectedJob, body: dict[str, Any], field: str) -> None:
    for query in ("", "?validate_only=true"):
        assert fields(problem(correct(api, made, body, query), 422)) == [field]


def test_rows_may_be_given_beside_the_map_and_win(api: Api, made: CorrectedJob) -> None:
    rows = [{"row": 4, "values": {"age": 50}}, {"row": 3, "values": {"district": "Nashik", "age": None}}]
    body = {"rows": rows, "value_map": {"district": {"Puna": "Pune", "Pune ": "Pune"}, "age": {"-5": 5}}}
    assert correct(api, made, body).status_code == 202
    made.run()
    values = {key: (row["values"]["district"], row["values"]["age"]) for key, row in made.rows().items()}
    assert values == {
        "r-1": ("Pune", 31), "r-2": ("Nashik", 44), "r-3": ("Nashik", None), "r-4": ("Pune", 50), "r-6": ("Pune", 31),
        "r-7": ("Nashik", 7),
    }  # fmt: skip


def test_rows_whose_correction_is_under_way_are_left(api: Api, made: CorrectedJob) -> None:
    assert correct(api, made, {"rows": [{"row": 1, "values": {"district": "Pune"}}]}).status_code == 202
    made.ask(Verb.PAUSE)
    preview = correct(api, made, {"value_map": {"district": {"Puna": "Pune"}}}, "?validate_only=true").get_json()
    assert preview["rows"] == 2
    assert correct(api, made, {"value_map": {"district": {"Puna": "Pune"}}}).status_code == 202


def test_a_number_of_json_has_the_decimal_mark_of_the_file(api: Api) -> None:
    columns = [*COLUMNS, {"name": "weight", "type": "number"}]
    assert (
        api.call("PUT", "/v1/datasets/baseline", json={**TEMPLATE, "columns": columns}, key="admin").status_code == 200
    )
    made = corrected.succeeded(
        api, b"respondent_id;weight\nr-1;heavy\nr-2;1,5\nr-3;light\n", decimal=",", mode="insert",
        value_map={"weight": {}},
    )  # fmt: skip
    body = {"value_map": {"weight": {"heavy": 80.5}}, "rows": [{"row": 3, "values": {"weight": 0.25}}]}
    assert correct(api, made, body).status_code == 202
    history = {one["row"]: one["corrected_line"] for one in _run(api, made)}
    assert history == {1: "r-1;80,5", 3: "r-3;0,25"}


def _run(api: Api, made: CorrectedJob) -> list[dict[str, Any]]:
    made.run()
    items: list[dict[str, Any]] = api.get(f"/v1/jobs/{made.job_id}/corrections").get_json()["items"]
    return [one for one in items if one["revision"] == 1]


def test_the_summary_as_a_csv_is_a_table_to_fill_in(api: Api, made: CorrectedJob) -> None:
    answer = api.get(f"/v1/jobs/{made.job_id}/rejects?summary=true&format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["column", "code", "value", "count", "replacement"],
        ["district", "not_in_values", "Puna", "3", ""],
        ["district", "not_in_values", "Pune ", "1", ""],
        ["age", "not_an_integer", "k.A.", "1", ""],
        ["age", "out_of_range", "-5", "1", ""],
    ]


def test_a_job_without_rejects_has_an_empty_summary(api: Api) -> None:
    fresh = api.job()["id"]
    assert summary(api, fresh) == {"items": [], "value_map": {}, "rejected": 0, "stored": 0, "examined": 0}
    problem(api.get(f"/v1/jobs/{fresh}/rejects?summary=true", key="other operator"), 404)
    problem(api.get(f"/v1/jobs/{fresh}/rejects?summary=maybe"), 422)


def test_more_rows_than_are_stored_or_read_are_said(
    api: Api, inside: Api, made: CorrectedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reject_summary, "MOST_EXAMINED_BYTES", 20)
    api.db.rejects.delete_one({"job_id": made.job_id, "row": 6})
    found = summary(inside, made.job_id)
    assert (found["rejected"], found["stored"], found["examined"]) == (5, 4, 1)


def test_a_map_corrects_as_many_rows_as_a_correction_may_have_and_leaves_the_others(
    inside: Api, made: CorrectedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "MOST_ROWS", 2)
    assert correct(inside, made, {"value_map": {"district": {"Puna": "Pune"}}}).status_code == 202
    made.run()
    assert sorted(row for row, reject in made.rejected().items() if reject["code"] == "not_in_values") == [3, 7]


def test_a_correction_that_changes_a_key_says_so_before_it_runs(api: Api, made: CorrectedJob) -> None:
    body = {"rows": [{"row": 1, "values": {"respondent_id": "r-9", "district": "Pune"}}]}
    (warning,) = correct(api, made, body, "?validate_only=true").get_json()["warnings"]
    assert (warning["code"], warning["columns"], warning["evidence"]["count"]) == ("key_changed", ["respondent_id"], 1)
    assert warning["evidence"]["rows"] == [
        {"row": 1, "column": "respondent_id", "before": "r-1", "after": "r-9", "was_wrong": False}
    ]
    before = api.stored(made.job_id)
    found = problem(correct(api, made, body), 409, "key_changed")
    assert "Row 1: respondent_id 'r-1' becomes 'r-9'." in found["detail"]
    assert (fields(found), api.stored(made.job_id)) == (["1"], before)
    assert correct(api, made, {**body, "change_keys": True}).status_code == 202
    made.run()
    assert made.rows()["r-9"]["row"] == 1


def test_a_key_that_a_file_changes_is_told_as_well(api: Api, made: CorrectedJob) -> None:
    data = "row;respondent_id;district\n1;1;Pune\n"
    path = f"/v1/jobs/{made.job_id}/corrections"
    for sent in ({"data": data, "content_type": "text/csv"}, form(file=data.encode())):
        problem(api.call("POST", path, **sent), 409, "key_changed")
    for sent in ({"data": data, "content_type": "text/csv"}, form(file=data.encode())):
        preview = api.call("POST", f"{path}?validate_only=true", **sent).get_json()
        assert [warning["code"] for warning in preview["warnings"]] == ["key_changed"]
    answer = api.call("POST", path, **form(file=data.encode(), change_keys="true"))
    assert answer.status_code == 202
    made.run()
    assert made.rows()["1"]["row"] == 1


def test_a_key_that_was_what_was_wrong_may_become_another(api: Api) -> None:
    made = corrected.succeeded(api, b"respondent_id,district,age\nr-1,Pune,1\nr-1,Pune,2\n,Pune,3\n")
    body = {"rows": [{"row": 2, "values": {"respondent_id": "r-2"}}, {"row": 3, "values": {"respondent_id": "r-3"}}]}
    (warning,) = correct(api, made, body, "?validate_only=true").get_json()["warnings"]
    assert (warning["code"], warning["evidence"]["count"]) == ("key_changed", 2)
    assert correct(api, made, body).status_code == 202
    made.run()
    assert sorted(made.rows()) == ["r-1", "r-2", "r-3"]


def test_rows_that_come_back_as_they_were_shown_are_read_as_they_were_shown(api: Api) -> None:
    header = "respondent_id,district,age\n"
    made = corrected.succeeded(api, f"{header}r-1,Pune,31,old note\nr-2,Pune\nr-3,Pune,x\n".encode())
    assert made.counts == (0, 3)
    given_out = api.get(f"/v1/jobs/{made.job_id}/rejects?format=csv").text
    path = f"/v1/jobs/{made.job_id}/corrections"
    preview = api.call("POST", f"{path}?validate_only=true", data=given_out, content_type="text/csv").get_json()
    (warning,) = preview["warnings"]
    assert (warning["code"], warning["evidence"]) == (
        "text_left_out", {"count": 1, "rows": [{"row": 1, "text": "old note"}]},
    )  # fmt: skip
    assert preview["rows"] == 3
    assert api.call("POST", path, data=given_out, content_type="text/csv").status_code == 202
    made.run()
    assert {key: row["values"]["age"] for key, row in made.rows().items()} == {"r-1": 31, "r-2": None}
    assert sorted(made.rejected()) == [3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_of_rejects_may_pass_through_a_spreadsheet(api: Api, encoding: str, delimiter: str) -> None:
    made = corrected.succeeded(api, "respondent_id,district,age\nr-1,Pöna,x\nr-2,Pune,\n".encode())
    rows = list(csv.reader(io.StringIO(api.get(f"/v1/jobs/{made.job_id}/rejects?format=csv").text)))
    rows[1][2] = "5"
    saved = io.StringIO()
    csv.writer(saved, delimiter=delimiter, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(
        [*rows, [""] * len(rows[0])]
    )
    named = {"encoding": encoding, "delimiter": delimiter} if encoding == "cp1252" else {}
    answer = api.call(
        "POST", f"/v1/jobs/{made.job_id}/corrections", **form(file=saved.getvalue().encode(encoding), **named)
    )
    assert answer.status_code == 202, answer.text
    made.run()
    assert made.rows()["r-1"]["values"]["district"] == "Pöna"


STILL_WRONG = {
    "row": 4,
    "field": "age",
    "code": "out_of_range",
    "message": "age '-5' is not at least 0 and at most 120.",
}


def test_a_preview_of_a_correction_names_the_holder_of_the_dataset_and_changes_nothing(
    api: Api, made: CorrectedJob
) -> None:
    other = api.job()["id"]
    before = (api.stored(made.job_id), api.db["blobs.files"].count_documents({}))
    body = {"value_map": {"district": {"Puna": "Pune"}}}
    assert correct(api, made, body, "?validate_only=true").get_json() == {
        "ok": True, "rows": 3, "warnings": [], "errors": [], "conflict": {"holder": other},
        "rejects": {"rejected_rows": 1, "items": [STILL_WRONG]},
    }  # fmt: skip
    assert (api.stored(made.job_id), api.db["blobs.files"].count_documents({})) == before
    problem(correct(api, made, body, "?validate_only=true", key="viewer"), 403)


WEIGHTS = [*COLUMNS, {"name": "weight", "type": "number"}, {"name": "born", "type": "date"}]
GERMAN = "Rejects of May\nrow|weight|born|district\n1| 80,5 |31.05.2017|Pune\n2|7,25|01.12.2016|\n"
HOW = {
    "delimiter": "|", "skip_lines": "1", "decimal": ",", "date_formats": "%d.%m.%Y", "trim": "true", "blank": "keep",
    "has_header": "true",
}  # fmt: skip


@pytest.mark.parametrize("in_query", [True, False])
def test_a_file_of_corrections_may_be_written_in_another_way_than_the_file_of_the_job(api: Api, in_query: bool) -> None:
    answer = api.call("PUT", "/v1/datasets/baseline", json={**TEMPLATE, "columns": WEIGHTS}, key="admin")
    assert answer.status_code == 200
    made = corrected.succeeded(
        api, b"respondent_id,district,weight,born\nr-1,Pune,heavy,2017-05-31\nr-2,Nashik,light,x\n"
    )
    path = f"/v1/jobs/{made.job_id}/corrections"
    if in_query:
        answer = api.call("POST", f"{path}?{urlencode(HOW)}", data=GERMAN, content_type="text/csv")
    else:
        answer = api.call("POST", path, **form(file=GERMAN.encode(), **{**HOW, "date_formats": '["%d.%m.%Y"]'}))
    assert answer.status_code == 202, answer.text
    made.run()
    values = {key: (row["values"]["district"], row["values"]["weight"]) for key, row in made.rows().items()}
    assert values == {"r-1": ("Pune", 80.5), "r-2": ("Nashik", 7.25)}
    assert {row["values"]["born"].date().isoformat() for row in made.rows().values()} == {"2017-05-31", "2016-12-01"}


def test_rows_of_json_may_be_written_in_another_way_too(api: Api) -> None:
    api.call("PUT", "/v1/datasets/baseline", json={**TEMPLATE, "columns": WEIGHTS}, key="admin")
    made = corrected.succeeded(api, b"respondent_id,weight\nr-1,heavy\nr-2,light\n")
    rows = [{"row": 1, "values": {"weight": "1,5"}}, {"row": 2, "values": {"weight": 2.5}}]
    assert correct(api, made, {"rows": rows, "decimal": ","}).status_code == 202
    made.run()
    assert {key: row["values"]["weight"] for key, row in made.rows().items()} == {"r-1": 1.5, "r-2": 2.5}


def test_a_file_without_a_header_has_the_columns_of_a_file_of_rejects(api: Api, made: CorrectedJob) -> None:
    data = "r-1;Pune;31;1;not_in_values;district;what was wrong\n"
    path = f"/v1/jobs/{made.job_id}/corrections?has_header=false"
    assert api.call("POST", path, data=data, content_type="text/csv").status_code == 202
    made.run()
    assert made.rows()["r-1"]["values"]["district"] == "Pune"


def test_a_map_may_come_with_a_file(api: Api, made: CorrectedJob) -> None:
    parts = form(file=b"row;age\n3;5\n", value_map='{"district": {"Puna": "Pune", "Pune ": "Pune"}}')
    assert api.call("POST", f"/v1/jobs/{made.job_id}/corrections", **parts).status_code == 202
    made.run()
    assert sorted(made.rejected()) == [4, 6]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("decimal=;", "decimal"), ("date_formats=%25d", "date_formats.0"), ("delimiter=tab", "delimiter"),
        ("skip_lines=-1", "skip_lines"), ("blank=leave", "blank"), ("trim=x", "trim"),
    ],
)  # fmt: skip
def test_a_way_of_writing_that_is_none_is_422(api: Api, made: CorrectedJob, query: str, field: str) -> None:
    answer = api.call(
        "POST", f"/v1/jobs/{made.job_id}/corrections?{query}", data="row;age\n3;5\n", content_type="text/csv"
    )
    assert fields(problem(answer, 422)) == [field]


def test_a_row_that_is_emptied_keeps_its_place_among_the_others(api: Api) -> None:
    """A line of nothing but delimiters is no row of a file; of a correction it is one."""
    made = corrected.succeeded(api, b"respondent_id,district,age\nr-1,Pune,x\nr-2,Pune,x\n")
    empty = {"respondent_id": "", "district": "", "age": ""}
    rows = [{"row": 1, "values": empty}, {"row": 2, "values": {"age": 2}}]
    assert correct(api, made, {"rows": rows, "change_keys": True}).status_code == 202
    made.run()
    assert {row: reject["code"] for row, reject in made.rejected().items()} == {1: "required"}
    assert made.rows()["r-2"]["values"]["age"] == 2


def test_a_row_with_text_behind_a_quote_that_comes_back_as_it_was_shown_is_read_as_it_was_shown(api: Api) -> None:
    made = corrected.succeeded(api, b'respondent_id,district,age\nr-1,"Pune"x,31\nr-2,Pune,2\n')
    assert sorted(made.rejected()) == [1]
    given_out = api.get(f"/v1/jobs/{made.job_id}/rejects?format=csv").text
    (shown,) = csv.DictReader(io.StringIO(given_out))
    answer = api.call("POST", f"/v1/jobs/{made.job_id}/corrections", data=given_out, content_type="text/csv")
    assert answer.status_code == 202, answer.text
    made.run()
    assert made.rejected() == {}
    assert made.rows()["r-1"]["values"] == {"respondent_id": "r-1", "district": shown["district"], "age": 31}
