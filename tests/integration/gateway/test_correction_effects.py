"""What a preview of a correction says of rows and cells that it would change beside what was wrong."""

from typing import Any

from integration.gateway import corrected
from integration.gateway.calls import Api
from integration.gateway.corrected import HEADER
from integration.gateway.test_corrections import send, send_csv

PREVIEW = "?validate_only=true"
SAME_KEY = (HEADER + "r-1,Pune,x\nr-1,Agra,2\nr-3,Satara,3\n").encode()


def by_code(preview: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {warning["code"]: warning for warning in preview["warnings"]}


def test_a_written_row_that_would_be_replaced_is_named_and_becomes_a_reject(api: Api) -> None:
    made = corrected.succeeded(api, SAME_KEY)
    before = api.stored(made.job_id)
    preview = send(api, made.job_id, (1, {"age": "1"}), query=PREVIEW).get_json()
    warning = by_code(preview)["row_replaced"]
    assert (
        "1 row of this file, written already, would be replaced and become a reject: row 2, by row 1"
        in (warning["message"])
    )
    assert warning["evidence"] == {"count": 1, "rows": [{"row": 2, "by": 1, "key": "r-1"}]}
    assert api.stored(made.job_id) == before
    assert send(api, made.job_id, (1, {"age": "1"})).status_code == 202
    made.run()
    assert (sorted(made.rejected()), made.rows()["r-1"]["row"]) == ([2], 1)


def test_a_key_that_is_there_already_would_be_rejected(api: Api) -> None:
    other = corrected.succeeded(api, (HEADER + "r-9,Pune,9\n").encode())
    made = corrected.succeeded(api, (HEADER + "r-1,Pune,1\nr-2,Pune,x\nr-2,Pune,y\nr-3,Pune,z\n").encode())
    rows: list[tuple[int, dict[str, str]]] = [
        (2, {"respondent_id": "r-1", "age": "2"}), (3, {"respondent_id": "r-9", "age": "3"}), (4, {"age": "4"}),
    ]  # fmt: skip
    preview = send(api, made.job_id, *rows, query=PREVIEW).get_json()
    rejected = preview["rejects"]
    assert [(item["row"], item["code"]) for item in rejected["items"]] == [(2, "duplicate_key"), (3, "duplicate_key")]
    assert "'r-1' is that of row 1" in rejected["items"][0]["message"]
    assert f"'r-9' is there already, written by job {other.job_id}" in rejected["items"][1]["message"]
    assert send(api, made.job_id, *rows, body={"change_keys": True}).status_code == 202
    made.run()
    assert sorted(made.rejected()) == [2, 3]


def test_an_upsert_names_what_it_would_change_and_empty(api: Api) -> None:
    other = corrected.succeeded(api, (HEADER + "r-9,Pune,9\n").encode())
    data = (HEADER + "r-1,Pune,x\nr-1,Agra,2\nr-3,Pune,x\nr-4,Pune,4\nr-4,Pune,x\n").encode()
    made = corrected.succeeded(api, data, mode="upsert")
    rows: list[tuple[int, dict[str, str]]] = [
        (1, {"age": "1"}), (3, {"respondent_id": "r-9", "age": ""}), (5, {"age": "5"}),
    ]  # fmt: skip
    found = by_code(send(api, made.job_id, *rows, query=PREVIEW).get_json())
    assert found["row_overwritten"]["evidence"]["rows"] == [{"row": 1, "by": 2, "key": "r-1"}]
    assert found["row_replaced"]["evidence"]["rows"] == [{"row": 4, "by": 5, "key": "r-4"}]
    assert found["other_job_changed"]["evidence"]["rows"] == [
        {"row": 3, "key": "r-9", "job_id": other.job_id, "its_row": 1}
    ]
    assert f"written by job {other.job_id} as its row 1, by row 3" in found["other_job_changed"]["message"]
    assert (found["would_clear"]["columns"], found["would_clear"]["evidence"]["count"]) == (["age"], 1)


def test_lines_that_a_quote_swallows_are_warned_of(api: Api) -> None:
    made = corrected.succeeded(api, (HEADER + "r-1,Pune,x\nr-2,Pune,y\nr-3,Pune,z\n").encode())
    text = 'respondent_id,age,district,row\nr-1,1,"a\nr-2,2,b",1\n'
    warning = by_code(send_csv(api, made.job_id, text, PREVIEW).get_json())["quoted_lines"]
    assert "A cell in quotes holds line 3 of the file, 'r-2,2,b\",1'" in warning["message"]
    clean = send_csv(api, made.job_id, "respondent_id,age,district,row\nr-1,1,a,1\n", PREVIEW).get_json()
    assert "quoted_lines" not in by_code(clean)


def test_cells_that_were_not_wrong_and_change_are_counted_and_shown(api: Api) -> None:
    made = corrected.succeeded(api, (HEADER + "r-1,1-2,x\nr-2,Pune,y\n").encode())
    text = "respondent_id,district,age,row\nr-1,02-Jan,1,1\nr-2,Pune,2,2\n"
    warning = by_code(send_csv(api, made.job_id, text, PREVIEW).get_json())["cells_changed"]
    assert warning["message"].startswith("1 cell of `district` that was not wrong changes: row 1 '1-2' → '02-Jan'.")
    assert warning["evidence"] == {
        "count": 1,
        "columns": {"district": {"count": 1, "rows": [{"row": 1, "before": "1-2", "after": "02-Jan"}]}},
    }
    named = send(api, made.job_id, (1, {"district": "02-Jan", "age": "1"}), query=PREVIEW).get_json()
    assert named["warnings"] == []
