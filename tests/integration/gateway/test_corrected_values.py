"""The cells of corrections in JSON, whose values have types, and which stand for the text of a file."""

from typing import Any

import pytest

from integration.gateway import corrected
from integration.gateway.calls import Api
from integration.gateway.corrected import HEADER


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (34, "34"), (-7, "-7"), (34.0, "34"), (1.5, "1.5"), (0.1, "0.1"), (1e-7, "0.0000001"), (1e22, "1" + "0" * 22),
        (2**53 + 1, "9007199254740993"), (True, "true"), (False, "false"), (None, ""), ("034", "034"), ("", ""),
    ],
)  # fmt: skip
def test_a_value_of_json_becomes_the_cell_that_a_file_would_have(api: Api, value: Any, cell: str) -> None:
    made = corrected.succeeded(api, (HEADER + "r-1,Pune,x\nr-2,Nashik,44\nr-3,Satara,not a number\n").encode())
    rows = [{"row": 1, "values": {"age": 34}}, {"row": 3, "values": {"district": value, "age": None}}]
    answer = api.post(f"/v1/jobs/{made.job_id}/corrections", {"rows": rows})
    assert answer.status_code == 202, answer.text
    made.run()
    ages = {key: row["values"]["age"] for key, row in made.rows().items()}
    assert ages == {"r-1": 34, "r-2": 44, "r-3": None}
    assert made.rows()["r-3"]["values"]["district"] == (cell or None)


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("value", ["'=literal", "=literal", "'x"])
def test_a_text_of_json_is_stored_as_typed_though_the_file_is_guarded(api: Api, value: str, by_value: bool) -> None:
    made = corrected.succeeded(api, (HEADER + "r-1,'=x,1\nr-2,'=y,44\nr-3,'=z,no\n").encode(), formula_guarded=True)
    assert made.rows()["r-1"]["values"]["district"] == "=x"
    if by_value:
        body: dict[str, Any] = {"value_map": {"age": {"no": 3}, "district": {"=z": value}}}
    else:
        body = {"rows": [{"row": 3, "values": {"age": 3, "district": value}}]}
    answer = api.post(f"/v1/jobs/{made.job_id}/corrections", body)
    assert answer.status_code == 202, answer.text
    made.run()
    assert made.rows()["r-3"]["values"]["district"] == value
