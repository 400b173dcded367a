"""What a preview says of cells: stored values that would be emptied, damaged text, keys that are alike."""

from typing import Any

import pytest

from integration.gateway.calls import Api, upload
from support.team_jobs import team

ROWS = 60
PHONES = [f"+9198450000{n:02}" for n in range(10)]


def store(api: Api, *rows: tuple[str, str | None, int | None]) -> None:
    api.db.rows.insert_many(
        [
            {
                "_id": f"labs|baseline|{key}", "org_id": "labs", "dataset": "baseline", "row": n, "revision": 1,
                "written_by": "earlier:1:0", "values": {"respondent_id": key, "district": district, "age": age},
            }
            for n, (key, district, age) in enumerate(rows, start=1)
        ]
    )  # fmt: skip


def preview(api: Api, lines: list[str], *, kind: str = "upload", **params: Any) -> dict[str, Any]:
    data = ("\n".join(lines) + "\n").encode()
    body = upload(api.file(data), params=params) if kind == "upload" else {
        "kind": "teams", "params": {"file_id": api.file(data), **params}, "reason": "t",
    }  # fmt: skip
    answer = api.post("/v1/jobs?validate_only=true", body)
    found: dict[str, Any] = answer.get_json()
    assert answer.status_code == 200, answer.text
    assert found["errors"] == [], found
    return found


def warned(api: Api, lines: list[str], **more: Any) -> dict[str, dict[str, Any]]:
    return {warning["code"]: warning for warning in preview(api, lines, **more)["warnings"]}


def test_an_upsert_that_would_empty_stored_values_says_how_many_and_how_to_keep_them(api: Api) -> None:
    store(api, *((f"r-{n}", "Pune", 30 if n % 2 else None) for n in range(ROWS)))
    lines = ["respondent_id,district,age", *(f"r-{n},,{30 if n else ''}" for n in range(ROWS)), "new,,"]
    warning = warned(api, lines, mode="upsert")["would_clear"]
    assert warning["columns"] == ["district"]
    assert "60 of 60 of `district` (first in row 1)" in warning["message"]
    assert warning["evidence"]["district"] == {
        "cleared": 60, "stored": 60, "rows": [1, 2, 3], "looked_at_rows": 61, "estimate": 60,
    }  # fmt: skip
    assert warning["suggestion"] == {"blank": "keep"}
    assert "would_clear" not in warned(api, lines, mode="upsert", **warning["suggestion"])
    assert "would_clear" not in warned(api, lines)


def test_the_last_row_of_a_key_counts_and_what_shows_nothing_clears_too(api: Api) -> None:
    store(api, ("a", "Pune", 30), ("b", "Pune", 31), ("c", None, None))
    lines = ["respondent_id,district,age", "a,,30", "a,Nashik,\u00a0", "b,x,31", "c,,"]
    warning = warned(api, lines, mode="upsert")["would_clear"]
    assert warning["evidence"] == {"age": {"cleared": 1, "stored": 2, "rows": [2], "looked_at_rows": 4, "estimate": 1}}


def test_where_blanks_keep_a_row_that_can_make_no_row_is_among_the_rejects(api: Api) -> None:
    columns = [*api_columns(), {"name": "m", "type": "string", "required": True}]
    template = {"key": ["respondent_id"], "columns": columns}
    put = api.call("PUT", "/v1/datasets/strict", json=template, key="admin")
    assert put.status_code in (200, 201), put.text
    api.db.rows.insert_one(
        {
            "_id": "labs|strict|a", "org_id": "labs", "dataset": "strict", "row": 1, "revision": 1,
            "written_by": "earlier:1:0", "values": {"respondent_id": "a", "m": "x"},
        }
    )  # fmt: skip
    lines = ["respondent_id,m", "a,", "b,", "c,y"]
    seen = preview(api, lines, dataset="strict", mode="upsert", blank="keep")
    assert [(reject["row"], reject["field"], reject["code"]) for reject in seen["rejects"]["items"]] == [
        (2, "m", "required")
    ]
    lacking = preview(api, ["respondent_id,age", "a,3", "b,4"], dataset="strict", mode="upsert")
    assert [reject["row"] for reject in lacking["rejects"]["items"]] == [2]


def api_columns() -> list[dict[str, Any]]:
    return [{"name": "respondent_id", "type": "string"}, {"name": "age", "type": "integer"}]


@pytest.mark.parametrize("cell", ["????", "M\ufffdller", "MÃ¼ller", "#NAME?", "#REF!", "#N/A"])
def test_damaged_text_is_named_with_its_row_and_column(api: Api, cell: str) -> None:
    warning = warned(api, ["respondent_id,district,age", "r-1,Pune,3", f"r-2,{cell},4"])["damaged_text"]
    assert warning["columns"] == ["district"]
    assert warning["evidence"]["district"]["rows"] == [2]
    assert warning["evidence"]["district"]["sample"] == cell
    assert "in row 2" in warning["message"]


def test_damage_is_seen_in_rows_that_are_rejected_and_in_no_ordinary_file(api: Api) -> None:
    assert warned(api, ["respondent_id,district,age", "r-1,Pune,#DIV/0!"])["damaged_text"]["columns"] == ["age"]
    lines = ["respondent_id,district,age", "r-1,Where???,3", "r-2,CAFÉ…,4", "r-3,São Paulo,5", "r-4,N/A,6"]
    assert warned(api, lines) == {}


def test_keys_that_are_alike_in_the_file_or_to_stored_ones_are_named(api: Api) -> None:
    store(api, ("R-7", "Pune", 3), ("r-8", "Pune", 3))
    lines = [
        "respondent_id,district,age",
        "a-1,Pune,3",
        "A-1,Pune,4",
        "r-7,Pune,5",
        "r-8,Pune,6",
        "１,Pune,7",
        "1,Pune,8",
    ]
    warning = warned(api, lines, mode="upsert")["keys_alike"]
    assert warning["columns"] == ["respondent_id"]
    assert warning["evidence"]["keys"] == [
        {"key": "A-1", "row": 2, "like": "a-1", "like_row": 1},
        {"key": "r-7", "row": 3, "like": "R-7", "like_row": None},
        {"key": "1", "row": 6, "like": "１", "like_row": 5},
    ]
    blanks = ["respondent_id,district,age", "x,Pune,3", "x ,Pune,4"]
    warning = warned(api, blanks)["keys_alike"]
    assert warning["suggestion"] == {"trim": True}
    assert "keys_alike" not in warned(api, blanks, trim=True)


def test_an_upsert_of_teams_says_whom_it_would_take_out_and_which_names_are_alike(api: Api) -> None:
    team(api.db, "North", managers=[PHONES[0]], members=[PHONES[1]], description="x")
    team(api.db, "South", managers=[PHONES[2]], members=[])
    lines = ["team_name,manager_phone,member_phones", f"North,,{PHONES[1]}", "South,,", f"north,{PHONES[3]},"]
    found = warned(api, lines, kind="teams", mode="upsert")
    warning = found["would_clear"]
    assert warning["columns"] == ["manager_phone"]
    assert "2 of 2 of `manager_phone`" in warning["message"]
    assert warning["suggestion"] == {"blank": "keep"}
    assert found["keys_alike"]["evidence"]["keys"] == [{"key": "north", "row": 3, "like": "North", "like_row": 1}]
    kept = preview(api, lines, kind="teams", mode="upsert", blank="keep")
    assert "would_clear" not in {each["code"] for each in kept["warnings"]}
    assert (kept["teams"]["changed"], kept["teams"]["unchanged"], kept["teams"]["created"]) == (0, 2, 1)


def test_only_some_spellings_are_looked_up_where_very_many_keys_are_stored(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.kinds import csv_kinds

    store(api, ("R-7", "Pune", 3), ("r-8", "Pune", 3))
    monkeypatch.setattr(csv_kinds, "MOST_STORED_KEYS", 1)
    lines = ["respondent_id,district,age", "r-7,Pune,5", "r-8,Pune,6"]
    assert [each["key"] for each in warned(api, lines)["keys_alike"]["evidence"]["keys"]] == ["r-7"]


def test_the_checks_that_compare_columns_read_cells_by_the_params(api: Api) -> None:
    store(api, *((f"r-{n}", "12.5", 30) for n in range(300)))
    lines = ["respondent_id,district,age", *(f" n-{n}\u00a0,Pune,{20 + n % 30} " for n in range(ROWS))]
    assert "columns_swapped" not in warned(api, lines, trim=True)
    assert preview(api, lines, trim=True)["rejects"]["rejected_rows"] == 0
