"""What is said of a correction that is refused: the line, the row, and what to do."""

from integration.gateway import corrected
from integration.gateway.calls import Api, problem
from integration.gateway.test_corrections import BAD, send, send_csv


def test_a_row_that_was_corrected_since_is_named_with_the_time_of_that(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    send(api, made.job_id, (3, {"age": "7"}))
    made.run()
    (closed,) = api.get(f"/v1/jobs/{made.job_id}/corrections?row=3").get_json()["items"]
    at = closed["at"][:19].replace("T", " ")
    found = problem(send_csv(api, made.job_id, "row,age\n1,31\n3,7\n"), 409, "row_not_rejected")
    assert [(error["field"], error["code"]) for error in found["errors"]] == [("3", "already_corrected")]
    assert f"Row 3 was already corrected at {at} UTC (revision 2): download the rejects again" in found["detail"]


def test_a_title_above_the_header_of_a_correction_is_named(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    text = "My title\nrespondent_id,district,age,row\nr-1,Pune,31,1\n"
    found = problem(send_csv(api, made.job_id, text), 422, "unknown_column")
    assert "set skip_lines to 1" in found["detail"]
    titled = problem(send_csv(api, made.job_id, "age,of rejects\nrow,age\n1,31\n"), 422, "missing_column")
    assert "set skip_lines to 1" in titled["detail"]
    assert send_csv(api, made.job_id, text, "?skip_lines=1").status_code == 202
