"""Rejected rows are corrected in the same job, over the API: roles, rows, forms and answers."""

import gzip
from typing import Any

import pytest
from werkzeug.test import TestResponse

from collect.csv import corrections
from collect.errors import Conflict, Transient
from collect.jobs.model import Reason
from collect.jobs.states import State, Verb
from collect.protocol import corrections as stored_corrections
from collect.protocol import verbs
from gateway.jobs import correct
from integration.gateway import corrected
from integration.gateway.calls import CSV, TEMPLATE, UNKNOWN_ID, Api, fields, form, problem, upload
from integration.gateway.corrected import HEADER
from support.waiting import eventually

BAD = (HEADER + "r-1,Pune,x\nr-2,Nashik,44\nr-3,Satara,not a number\nr-4,Pune,-5\n").encode()
TEXT = {"content_type": "text/csv"}


def send(api: Api, job_id: str, *rows: tuple[int, dict[str, str]], query: str = "", **options: Any) -> TestResponse:
    body = {"rows": [{"row": row, "values": values} for row, values in rows], **options.pop("body", {})}
    return api.post(f"/v1/jobs/{job_id}/corrections{query}", body, **options)


def send_csv(api: Api, job_id: str, data: bytes | str, query: str = "", **options: Any) -> TestResponse:
    sent = data.encode() if isinstance(data, str) else data
    return api.call("POST", f"/v1/jobs/{job_id}/corrections{query}", data=sent, **{**TEXT, **options})


def rejects(api: Api, job_id: str) -> dict[int, dict[str, Any]]:
    return {one["row"]: one for one in api.get(f"/v1/jobs/{job_id}/rejects").get_json()["items"]}


def history(api: Api, job_id: str, query: str = "") -> list[tuple[int, int, str]]:
    items = api.get(f"/v1/jobs/{job_id}/corrections{query}").get_json()["items"]
    return [(one["row"], one["revision"], one["became"]) for one in items]


def test_rows_are_corrected_in_the_same_job_which_counts_them_once(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    seen = api.get(f"/v1/jobs/{made.job_id}").get_json()
    assert "correct" in seen["allowed_verbs"]
    assert (seen["progress"]["succeeded"], seen["progress"]["rejected"]) == (1, 3)
    answer = send(api, made.job_id, (1, {"age": "31"}), (3, {"age": "7"}), body={"reason": "typed wrongly"})
    job = answer.get_json()
    assert (answer.status_code, job["id"], job["state"]) == (202, made.job_id, "queued")
    assert (job["last_action"]["verb"], job["last_action"]["reason"]) == ("correct", "typed wrongly")
    assert job["last_action"]["effective_at"]
    assert answer.headers["ETag"] == f'"{api.stored(made.job_id).audit_seq}"'
    assert {row: one["correcting"] for row, one in rejects(api, made.job_id).items()} == {1: True, 3: True, 4: False}
    made.run()
    done = api.get(f"/v1/jobs/{made.job_id}").get_json()
    progress = done["progress"]
    assert (done["state"], progress["total"], progress["done"]) == ("succeeded", 4, 4)
    assert (progress["succeeded"], progress["rejected"]) == (3, 1)
    assert history(api, made.job_id) == [(1, 1, "written"), (3, 1, "written")]
    assert api.get("/v1/datasets/baseline/rows?key=r-3").get_json()["items"][0]["values"]["age"] == 7


def test_a_part_of_corrected_rows_says_how_many_are_done(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    send(api, made.job_id, (1, {"age": "31"}), (3, {"age": "7"}))
    made.step(1, size=1, chunks=1)
    parts = api.get(f"/v1/jobs/{made.job_id}/parts").get_json()["items"]
    assert [(part["n"], part["done"], part["total"], part["corrects"]) for part in parts] == [
        (0, 4, 4, False), (1, 1, 2, True),
    ]  # fmt: skip


def test_a_file_of_rejects_that_was_corrected_is_a_correction(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    given = api.get(f"/v1/jobs/{made.job_id}/rejects?format=csv").text
    assert given.splitlines()[0].endswith(",row,code,field,message")
    text = given.replace("not a number", "7").replace(",x,", ",31,")
    assert send_csv(api, made.job_id, text, "?reason=corrected").get_json()["last_action"]["reason"] == "corrected"
    made.run()
    assert history(api, made.job_id) == [(1, 1, "written"), (3, 1, "written"), (4, 1, "rejected")]
    (left,) = rejects(api, made.job_id).values()
    assert (left["row"], left["revision"], left["correcting"]) == (4, 2, False)


@pytest.mark.parametrize("sent", ["multipart", "gzip", "semicolons", "cp1252", "cp1252 in parts"])
def test_a_correction_comes_in_the_forms_in_which_files_come(api: Api, sent: str) -> None:
    made = corrected.succeeded(api, BAD)
    match sent:
        case "multipart":
            parts = form(file=b"row,age\n1,31\n", reason="a form")
            answer = api.call("POST", f"/v1/jobs/{made.job_id}/corrections", **parts)
        case "gzip":
            answer = send_csv(api, made.job_id, gzip.compress(b"row,age\n1,31\n"))
        case "cp1252":
            text = "row,age,district\n1,31,Pöna\n".encode("cp1252")
            problem(send_csv(api, made.job_id, text), 422, "encoding")
            answer = send_csv(api, made.job_id, text, "?encoding=cp1252")
        case "cp1252 in parts":
            parts = form(file="row,age,district\n1,31,Pöna\n".encode("cp1252"), encoding="cp1252")
            answer = api.call("POST", f"/v1/jobs/{made.job_id}/corrections", **parts)
        case _:
            answer = send_csv(api, made.job_id, "\ufeffrow;age\r\n1;31\r\n")
    assert answer.status_code == 202, answer.text
    made.run()
    assert (made.counts, history(api, made.job_id)) == ((2, 2), [(1, 1, "written")])
    assert api.db.files.count_documents({}) == 0
    names = [found["filename"] for found in api.db["blobs.files"].find({"filename": {"$regex": "^files/"}})]
    assert names == [made.job.file.blob if made.job.file else None]


def test_the_columns_of_a_file_that_was_mapped_are_called_by_either_name(api: Api) -> None:
    data = b"id,place,years\nr-1,Pune,x\nr-2,Nashik,y\n"
    names = {"id": "respondent_id", "place": None, "years": "age"}
    made = corrected.succeeded(api, data, column_map=names)
    assert send(api, made.job_id, (1, {"age": "5"})).status_code == 202
    made.run()
    given = api.get(f"/v1/jobs/{made.job_id}/rejects?format=csv").text
    assert given.startswith("id,place,years,row,")
    assert send_csv(api, made.job_id, given.replace(",y,", ",6,")).status_code == 202
    made.run()
    assert made.counts == (2, 0)


def test_rows_that_cannot_be_corrected_are_named_and_none_is(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    send(api, made.job_id, (1, {"age": "31"}))
    made.ask(Verb.PAUSE)
    before = api.stored(made.job_id)
    found = problem(send(api, made.job_id, *[(row, {"age": "1"}) for row in (1, 2, 3, 99)]), 409, "row_not_rejected")
    assert [(error["field"], error["code"]) for error in found["errors"]] == [
        ("1", "correction_under_way"), ("2", "row_not_rejected"), ("99", "row_not_rejected"),
    ]  # fmt: skip
    assert "Row 2 is not among" in found["detail"]
    assert api.stored(made.job_id) == before


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["rows"]),
        ({"rows": []}, ["rows"]),
        ({"rows": [{"row": 1}]}, ["rows.0.values"]),
        ({"rows": [{"row": 1, "values": {}}]}, ["rows.0.values"]),
        ({"rows": [{"row": 0, "values": {"age": "1"}}]}, ["rows.0.row"]),
        ({"rows": [{"row": "1", "values": {"age": "1"}}]}, ["rows.0.row"]),
        ({"rows": [{"row": 1, "values": {"age": ["1"]}}]}, ["rows.0.values.age"]),
        ({"rows": [{"row": 1, "values": {"age": {"$gt": ""}}}]}, ["rows.0.values.age"]),
        ({"rows": [{"row": 1, "values": {"age": "1"}, "line": "x"}]}, ["rows.0.line"]),
        ({"rows": [{"row": 1, "values": {"age": "1"}}], "force": True}, ["force"]),
        ({"rows": [{"row": 1, "values": {"age": "1"}}] * 10_001}, ["rows"]),
        ({"rows": [{"row": 1, "values": {"years": "1"}}]}, ["years"]),
        ({"rows": [{"row": 1, "values": {"_id": "1"}}]}, ["_id"]),
        ({"rows": [{"row": 1, "values": {"age": "1"}}] * 2}, ["1"]),
    ],
)
def test_a_correction_that_is_wrong_in_itself_is_422_and_says_where(
    api: Api, body: dict[str, Any], wrong: list[str]
) -> None:
    job = corrected.succeeded(api, BAD).job_id
    assert fields(problem(api.post(f"/v1/jobs/{job}/corrections", body), 422)) == wrong
    assert api.stored(job).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"row,age\n", "no_rows"),
        (b"age\n5\n", "missing_column"),
        (b"row,years\n1,5\n", "unknown_column"),
        (b"row,age\n1,5\n1,6\n", "duplicate_row"),
        (b"row,age\nfirst,5\n", "not_a_row"),
        (b'row,age\n1,"5\n', "unclosed_quote"),
        (b"row,age\n1,\xe9\n", "encoding"),
    ],
)
def test_a_csv_that_is_wrong_in_itself_is_422(api: Api, data: bytes, code: str) -> None:
    job = corrected.succeeded(api, BAD).job_id
    problem(send_csv(api, job, data), 422, code)
    assert api.stored(job).state is State.SUCCEEDED


def test_an_encoding_that_is_not_known_is_422(api: Api) -> None:
    job = corrected.succeeded(api, BAD).job_id
    problem(send_csv(api, job, "row,age\n1,31\n", "?encoding=ebcdic"), 422, "unknown_encoding")


def test_a_row_with_another_number_of_cells_is_corrected_whole(api: Api) -> None:
    made = corrected.succeeded(api, (HEADER + "r-1,Pune,West,5\n").encode())
    problem(send(api, made.job_id, (1, {"age": "5"})), 422, "incomplete_row")
    whole = {"respondent_id": "r-1", "district": "Pune, West", "age": "5"}
    assert send(api, made.job_id, (1, whole)).status_code == 202
    made.run()
    assert made.rows()["r-1"]["values"] == {"respondent_id": "r-1", "district": "Pune, West", "age": 5}


@pytest.mark.parametrize("state", [state for state in State if state not in {"succeeded", "failed", "paused"}])
def test_in_other_states_it_is_refused_with_what_is_allowed(api: Api, state: State) -> None:
    job = corrected.succeeded(api, BAD).job_id
    api.db.jobs.update_one({"_id": job}, {"$set": {"state": state.value}})
    before = api.stored(job)
    found = problem(send(api, job, (1, {"age": "1"})), 409, "verb_not_allowed")
    assert found["state"] == state.value
    assert "correct" not in found["allowed_verbs"]
    assert api.stored(job) == before


def test_a_job_that_is_being_undone_is_not_corrected(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    assert api.verb(made.job_id, "undo").get_json()["state"] == "undoing"
    problem(send(api, made.job_id, (1, {"age": "1"})), 409, "verb_not_allowed")
    made.run()
    problem(send(api, made.job_id, (1, {"age": "1"})), 409, "verb_not_allowed")
    assert made.rows() == {}


def test_a_dataset_that_another_job_holds_is_409_and_names_it(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    other = api.job()["id"]
    assert problem(send(api, made.job_id, (1, {"age": "1"})), 409, "dataset_held")["holder"] == other
    assert api.stored(made.job_id).state is State.SUCCEEDED


def test_a_job_that_reads_no_file_is_not_corrected(api: Api) -> None:
    job = corrected.succeeded(api, BAD).job_id
    api.db.jobs.update_one({"_id": job}, {"$set": {"kind": "export"}})
    problem(send(api, job, (1, {"age": "1"})), 409, "no_file")


def test_a_template_that_has_changed_since_is_409(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    other = {**TEMPLATE, "columns": [*TEMPLATE["columns"], {"name": "more", "type": "string"}]}
    assert api.call("PUT", "/v1/datasets/baseline", json=other, key="admin").status_code == 200
    problem(send(api, made.job_id, (1, {"age": "1"})), 409, "template_changed")


def test_a_job_of_another_organisation_is_404(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    problem(send(api, made.job_id, (1, {"age": "1"}), key="other operator"), 404)
    problem(api.get(f"/v1/jobs/{made.job_id}/corrections", key="other admin"), 404)
    problem(send(api, UNKNOWN_ID, (1, {"age": "1"})), 404)


def test_the_same_key_corrects_once_and_is_answered_alike(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    key = {"Idempotency-Key": "once"}
    first = send(api, made.job_id, (1, {"age": "1"}), headers=key)
    again = send(api, made.job_id, (1, {"age": "1"}), headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.get_json() == again.get_json()
    assert api.stored(made.job_id).corrections == 1
    problem(send(api, made.job_id, (3, {"age": "1"}), headers=key), 422, "idempotency_key_reused")
    problem(send_csv(api, made.job_id, "row,age\n3,1\n", headers=key), 422, "idempotency_key_reused")


def test_a_correction_on_an_older_look_is_refused(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    seen = api.get(f"/v1/jobs/{made.job_id}").headers["ETag"]
    assert send(api, made.job_id, (1, {"age": "x"}), headers={"If-Match": seen}).status_code == 202
    made.run()
    problem(send(api, made.job_id, (1, {"age": "1"}), headers={"If-Match": seen}), 412, "precondition_failed")


def test_it_is_answered_when_the_job_rests_again(api: Api) -> None:
    made = corrected.begun(api, BAD)
    made.step(0, chunks=1, size=2)
    made.ask(Verb.PAUSE)
    answer = send(api, made.job_id, (1, {"age": "1"}), query="?wait_seconds=5")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "paused")
    assert "correct" not in answer.get_json()["allowed_verbs"]


def test_nothing_is_left_of_a_correction_that_was_refused(
    api: Api, inside: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = corrected.succeeded(api, BAD)
    before = sorted(found["filename"] for found in api.db["blobs.files"].find())
    problem(send_csv(api, made.job_id, "row,age\n2,1\n"), 409)

    def taken_meanwhile(*_: Any) -> Any:
        raise Conflict("Row 1 is being corrected already.", code="row_not_rejected")

    monkeypatch.setattr(stored_corrections, "_mark", taken_meanwhile)
    problem(send_csv(inside, made.job_id, "row,age\n1,1\n"), 409, "row_not_rejected")
    assert sorted(found["filename"] for found in api.db["blobs.files"].find()) == before


def test_what_may_have_begun_after_all_keeps_its_rows(inside: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = corrected.succeeded(inside, BAD)

    def lost(*_: Any, **__: Any) -> Any:
        raise Transient("nobody knows")

    monkeypatch.setattr(verbs, "perform", lost)
    problem(send(inside, made.job_id, (1, {"age": "1"})), 503)
    prefix = {"filename": {"$regex": f"^jobs/{made.job_id}/"}}
    assert inside.db["blobs.files"].count_documents(prefix) == 1


def test_a_correction_that_is_too_large_is_413(api: Api, inside: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = corrected.succeeded(api, BAD)
    monkeypatch.setattr(correct, "MAX_BYTES", 40)
    problem(send_csv(inside, made.job_id, b"row,age\n" + b"1,5\n" * 20), 413, "too_large")
    problem(send_csv(inside, made.job_id, gzip.compress(b"row,age\n1," + b"5" * 100)), 413, "too_large")
    monkeypatch.setattr(correct, "MAX_BYTES", 20)
    problem(send(inside, made.job_id, (1, {"age": "1"}), (3, {"age": "1"})), 413, "too_large")


def test_the_history_is_paged_and_found_by_row(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    for age in ("y", "z", "5"):
        assert send(api, made.job_id, (1, {"age": age}), (3, {"age": age})).status_code == 202
        made.run()
    assert history(api, made.job_id, "?row=3") == [(3, 1, "rejected"), (3, 2, "rejected"), (3, 3, "written")]
    found, cursor = [], ""
    while True:
        body = api.get(f"/v1/jobs/{made.job_id}/corrections?limit=2{cursor}").get_json()
        found += [(one["row"], one["revision"]) for one in body["items"]]
        if body["next_cursor"] is None:
            break
        cursor = f"&cursor={body['next_cursor']}"
    assert found == [(row, revision) for row in (1, 3) for revision in (1, 2, 3)]
    for forged in ("WzFd", "IjEi", "IjEueCI=", "IjEuMi4zIg=="):
        problem(api.get(f"/v1/jobs/{made.job_id}/corrections?cursor={forged}"), 400, "bad_cursor")


def test_a_failed_job_that_is_corrected_says_why_no_longer(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    reason = Reason(code="poison", message="It failed.").model_dump()
    api.db.jobs.update_one({"_id": made.job_id}, {"$set": {"state": "failed", "reason": reason}})
    job = send(api, made.job_id, (1, {"age": "1"})).get_json()
    assert (job["state"], job["reason"]) == ("queued", None)


def test_a_restart_of_a_corrected_job_reads_its_file_as_it_was_sent(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    send(api, made.job_id, (1, {"age": "31"}))
    made.run()
    job = made.job
    assert job.file is not None
    file_id = api.file(BAD)
    api.db.jobs.update_one({"_id": made.job_id}, {"$set": {"params.file_id": file_id}})
    child = api.verb(made.job_id, "restart").get_json()
    assert (child["parent_id"], child["params"]["file_id"], child["progress"]["done"]) == (made.job_id, file_id, 0)
    assert child["allowed_verbs"] == ["pause", "stop", "terminate"]
    assert api.get(f"/v1/jobs/{child['id']}/corrections").get_json()["items"] == []


def test_a_restart_with_a_corrected_file_or_other_columns_names_its_parent_and_merges_params(api: Api) -> None:
    parent = api.job(params={"mode": "upsert", "on_conflict": "queue", "max_rejected": {"rows": 3}})["id"]
    api.verb(parent, "terminate")
    sent = form(file=CSV, reason="corrected", params='{"column_map":{"district":null}}')
    child = api.call("POST", f"/v1/jobs/{parent}/restart", **sent).get_json()
    assert child["parent_id"] == parent
    assert child["params"]["column_map"] == {"district": None}
    assert (child["params"]["mode"], child["max_rejected"]) == ("upsert", {"rows": 3})
    assert not {"on_conflict", "supersedes"} & child["params"].keys()
    api.verb(child["id"], "terminate")
    superseding = api.post(
        "/v1/jobs", upload(api.file(), params={"on_conflict": "supersede", "supersedes": child["id"]})
    ).get_json()
    api.verb(superseding["id"], "terminate")
    grandchild = api.verb(superseding["id"], "restart", body={"params": {"mode": "insert"}}).get_json()
    assert grandchild["parent_id"] == superseding["id"]
    assert not {"on_conflict", "supersedes"} & grandchild["params"].keys()


def test_corrections_of_one_row_at_once_are_taken_once(api: Api, inside: Api) -> None:
    made = corrected.succeeded(api, BAD)
    job = made.job
    with pytest.MonkeyPatch.context() as patch:
        first = made.prepare({1: {"age": "5"}})
        real = corrections.text_of

        def meanwhile(*given: Any, **lacking: Any) -> bytes:
            made.ask(Verb.CORRECT, corrected=first)
            made.run()
            patch.setattr(corrections, "text_of", real)
            return real(*given, **lacking)

        patch.setattr(corrections, "text_of", meanwhile)
        problem(send(inside, made.job_id, (1, {"age": "6"})), 409)
    assert api.stored(made.job_id).corrections == job.corrections + 1
    assert made.rows()["r-1"]["values"]["age"] == 5


def test_what_a_correction_publishes_is_sent_at_once(api: Api) -> None:
    made = corrected.succeeded(api, BAD)
    api.db.outbox.delete_many({})
    assert send(api, made.job_id, (1, {"age": "1"})).status_code == 202
    verbs_of = [entry["verb"] for entry in api.get(f"/v1/jobs/{made.job_id}/audit").get_json()["items"]]
    assert verbs_of[-1] == "correct"
    eventually(
        lambda: api.db.outbox.count_documents({}) == 0, seconds=30, what="what the correction left has been sent"
    )
