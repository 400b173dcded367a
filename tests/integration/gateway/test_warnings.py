"""What the preview of an upload warns of, and what it suggests."""

from typing import Any

from integration.gateway.calls import Api, upload

ROWS = 60
AGES = [str(18 + n % 50) for n in range(ROWS)]
PLACES = [("Pune", "Nashik", "Satara")[n % 3] for n in range(ROWS)]


def text(header: str, *columns: list[str]) -> bytes:
    lines = [header, *(",".join(cells) for cells in zip(*columns, strict=True))]
    return "\n".join(line for line in lines if line).encode() + b"\n"


IDS = [f"r-{n}" for n in range(ROWS)]
EXCHANGED = text("respondent_id,district,age", IDS, AGES, PLACES)


def warned(api: Api, data: bytes, **params: Any) -> dict[str, dict[str, Any]]:
    """The warnings by their codes."""
    answer = api.post("/v1/jobs?validate_only=true", upload(api.file(data), params=params))
    body = answer.get_json()
    assert body["errors"] == [], body
    return {warning["code"]: warning for warning in body["warnings"]}


def test_exchanged_columns_are_corrected_by_merging_the_suggestion(api: Api) -> None:
    warning = warned(api, EXCHANGED)["columns_swapped"]
    assert set(warning["columns"]) == {"district", "age"}
    assert "`district` and `age` look exchanged" in warning["message"]
    assert warning["evidence"]["age"] == {
        "by": "accepted", "fit_their_column": 0.0, "fit_the_other": 1.0, "sampled_cells": ROWS,
    }  # fmt: skip
    assert warning["suggestion"] == {"column_map": {"district": "age", "age": "district"}}
    assert warned(api, EXCHANGED, **warning["suggestion"]) == {}


def test_the_suggestion_keeps_what_the_request_maps_already(api: Api) -> None:
    data = text("respondent_id,Zila,Alter,note", IDS, AGES, PLACES, ["x"] * ROWS)
    mapped = {"Zila": "district", "Alter": "age", "note": None}
    warning = warned(api, data, column_map=mapped)["columns_swapped"]
    assert warning["suggestion"] == {"column_map": {"Zila": "age", "Alter": "district", "note": None}}
    assert warned(api, data, **warning["suggestion"]) == {}


def test_the_suggestion_names_the_columns_of_a_file_without_a_header(api: Api) -> None:
    data = text("", IDS, AGES, PLACES)
    warning = warned(api, data, has_header=False)["columns_swapped"]
    assert warned(api, data, has_header=False, **warning["suggestion"]) == {}


def test_keys_that_come_again_are_told_with_what_becomes_of_them(api: Api) -> None:
    data = text("respondent_id,district,age", [*IDS[:-2], "r-1", "r-2"], PLACES, AGES)
    warning = warned(api, data)["duplicate_keys"]
    assert warning["message"] == (
        "2 of 60 rows have a key that stands further up, such as 'r-1' in rows 2 and 59: all but the first are "
        "rejected."
    )
    assert warning["evidence"] == {"sampled_rows": 60, "repeated": 2, "key": "r-1", "rows": [2, 59]}
    assert "each row overwrites the one before it" in warned(api, data, mode="upsert")["duplicate_keys"]["message"]


def test_values_that_are_like_nothing_that_is_stored_are_told(api: Api) -> None:
    made = {"org_id": "labs", "dataset": "baseline", "row": 1, "revision": 1, "written_by": "earlier:1:0"}
    stored = [
        {
            **made,
            "_id": f"labs|baseline|s-{n:05d}",
            "values": {"respondent_id": f"s-{n:05d}", "district": f"MH-{n % 30:02d}", "age": 30},
        }
        for n in range(300)
    ]
    api.db.rows.insert_many(stored)
    codes = [f"27/{n % 30}/B" for n in range(ROWS)]
    ids = [f"s-{n:05d}" for n in range(1_000, 1_000 + ROWS)]
    warning = warned(api, text("respondent_id,district,age", ids, codes, AGES))["values_unlike_stored"]
    assert warning["columns"] == ["district"]
    assert "suggestion" not in warning  # nothing would correct it
    good = [f"MH-{n % 40:02d}" for n in range(ROWS)]
    assert warned(api, text("respondent_id,district,age", ids, good, AGES)) == {}


def test_blank_lines_and_cells_that_hold_rows_are_told(api: Api) -> None:
    """One quote that is missing, and one that closes it 25 lines below: 40 lines, 15 rows, no error."""
    rows = [f"{IDS[n]},{PLACES[n]},{AGES[n]}" for n in range(40)]
    rows[3], rows[28] = f'{IDS[3]},"{PLACES[3]},{AGES[3]}', f'{IDS[28]},{PLACES[28]}",{AGES[28]}'
    data = "\n".join(["respondent_id,district,age", *rows, ",,", "", ",,"]).encode()
    warnings = warned(api, data)
    assert warnings["blank_rows"]["evidence"] == {"lines": 3}
    quoted = warnings["quoted_lines"]
    assert "43 lines below the header make 15 rows" in quoted["message"]
    assert f"row 4 holds line 6, {rows[4]!r}" in quoted["message"]
    assert quoted["evidence"] == {
        "lines": 43, "rows": 15, "row": 4, "line": 6, "text": rows[4], "like_rows": 24,
    }  # fmt: skip
    body = api.post("/v1/jobs?validate_only=true", upload(api.file(data))).get_json()
    assert (body["total_rows"], body["blank_rows"]) == (15, 3)
