"""Files, datasets, keys, the organisation, and the description of it all."""

import base64
import hashlib

import pytest

from collect.jobs.states import State
from collect.messaging import topology
from integration.gateway.calls import CSV, TEMPLATE, TEMPLATE_COLUMNS, Api, fields, form, problem


def test_a_file_is_kept_as_it_was_sent(api: Api) -> None:
    answer = api.call("POST", "/v1/files?name=a.csv", data=CSV)
    file = answer.get_json()
    assert answer.status_code == 201
    assert file["sha256"] == hashlib.sha256(CSV).hexdigest()
    assert (file["name"], file["bytes"]) == ("a.csv", len(CSV))
    assert api.get(f"/v1/files/{file['id']}").get_json() == file
    whole = api.get(f"/v1/files/{file['id']}/content")
    assert whole.data == CSV
    digest = base64.b64encode(hashlib.sha256(CSV).digest()).decode()
    assert whole.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_a_file_comes_as_multipart_too(api: Api) -> None:
    answer = api.call("POST", "/v1/files", **form(file=CSV))
    assert (answer.status_code, answer.get_json()["name"]) == (201, "file.csv")
    problem(api.call("POST", "/v1/files", **form(other=CSV)), 422, "unexpected_part")
    problem(api.call("POST", "/v1/files", **form()), 422, "no_file")


def test_a_part_of_a_file(api: Api) -> None:
    file = api.file()
    part = api.get(f"/v1/files/{file}/content", headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.data) == (206, CSV[3:10])
    assert part.headers["Content-Range"] == f"bytes 3-9/{len(CSV)}"
    last = api.get(f"/v1/files/{file}/content", headers={"Range": "bytes=-4"})
    assert last.data == CSV[-4:]
    problem(api.get(f"/v1/files/{file}/content", headers={"Range": "bytes=9999-"}), 416, "range_not_satisfiable")


@pytest.mark.parametrize(
    ("name", "shown"), [("../../etc/passwd", "passwd"), ("c:\\temp\\a.csv", "a.csv"), ("रिपोर्ट.csv", "रिपोर्ट.csv")]
)
def test_a_name_is_only_a_name(api: Api, name: str, shown: str) -> None:
    answer = api.call("POST", "/v1/files", data=CSV, query_string={"name": name})
    assert answer.get_json()["name"] == shown
    content = api.get(f"/v1/files/{answer.get_json()['id']}/content")
    assert content.headers["Content-Disposition"].isascii()


@pytest.mark.parametrize("name", ["", "..", "a\0b", "a\r\nSet-Cookie: x", "x" * 300])
def test_a_name_that_cannot_be_shown_is_refused(api: Api, name: str) -> None:
    problem(api.call("POST", "/v1/files", data=CSV, query_string={"name": name}), 422)
    assert api.db["blobs.files"].count_documents({}) == 0


def test_a_file_over_the_limit_leaves_nothing(api: Api) -> None:
    api.db.orgs.update_one({"_id": "labs"}, {"$set": {"limits.max_upload_bytes": 10}})
    problem(api.call("POST", "/v1/files?name=a.csv", data=CSV), 413, "too_large")
    assert api.db["blobs.chunks"].count_documents({}) == 0


def test_the_same_file_under_the_same_key_is_kept_once(api: Api) -> None:
    key = {"Idempotency-Key": "file"}
    first = api.call("POST", "/v1/files?name=a.csv", data=CSV, headers=key).get_json()
    again = api.call("POST", "/v1/files?name=a.csv", data=CSV, headers=key)
    assert again.get_json() == first
    assert api.db.files.count_documents({}) == 1
    problem(api.call("POST", "/v1/files?name=a.csv", data=CSV + b"x", headers=key), 422, "idempotency_key_reused")


def test_a_template_is_made_and_changed_but_not_under_a_job(api: Api) -> None:
    made = api.call("PUT", "/v1/datasets/people", json=TEMPLATE, key="admin")
    assert (made.status_code, made.get_json()["row_count"]) == (201, 0)
    columns = [*TEMPLATE_COLUMNS, {"name": "block", "type": "string"}]
    changed = {**TEMPLATE, "columns": columns}
    assert api.call("PUT", "/v1/datasets/people", json=changed, key="admin").status_code == 200
    assert len(api.get("/v1/datasets/people").get_json()["columns"]) == 4
    job = api.job()["id"]
    assert problem(api.call("PUT", "/v1/datasets/baseline", json=changed, key="admin"), 409)["holder"] == job


def test_what_is_shown_of_a_template_can_be_put_again_and_changes_nothing(api: Api) -> None:
    silent = {"key": ["respondent_id"], "columns": [{"name": "respondent_id", "type": "string"}, *TEMPLATE_COLUMNS[1:]]}
    assert api.call("PUT", "/v1/datasets/people", json=silent, key="admin").status_code == 201
    shown = api.get("/v1/datasets/people").get_json()
    assert [column["required"] for column in shown["columns"]] == [True, False, False]
    again = api.call("PUT", "/v1/datasets/people", json={"key": shown["key"], "columns": shown["columns"]}, key="admin")
    assert (again.status_code, again.get_json()) == (200, shown)


@pytest.mark.parametrize("name", ["Baseline", "1st", "$where", "a b"])
def test_a_dataset_has_a_plain_name(api: Api, name: str) -> None:
    assert fields(problem(api.call("PUT", f"/v1/datasets/{name}", json=TEMPLATE, key="admin"), 422)) == ["name"]


def test_a_template_says_what_is_wrong_with_it(api: Api) -> None:
    wrong = {"key": ["nothing"], "columns": [{"name": "_id", "type": "strange"}], "extra": 1}
    assert problem(api.call("PUT", "/v1/datasets/people", json=wrong, key="admin"), 422)["errors"]


def test_rows_are_found_by_key_and_in_pages(api: Api) -> None:
    for n in range(3):
        api.db.rows.insert_one(
            {
                "_id": f"labs|baseline|r-{n}",
                "org_id": "labs",
                "dataset": "baseline",
                "values": {"respondent_id": f"r-{n}"},
                "row": n + 1,
                "written_by": "x:1:0",
                "revision": 1,
            }
        )
    found = api.get("/v1/datasets/baseline/rows?key=r-1").get_json()
    assert [row["values"]["respondent_id"] for row in found["items"]] == ["r-1"]
    assert api.get("/v1/datasets/baseline/rows?key=r-9").get_json()["items"] == []
    problem(api.get("/v1/datasets/baseline/rows?key=r-1&key=r-2"), 422)
    page = api.get("/v1/datasets/baseline/rows?limit=2").get_json()
    rest = api.get(f"/v1/datasets/baseline/rows?limit=2&cursor={page['next_cursor']}").get_json()
    assert len(page["items"]) + len(rest["items"]) == 3
    assert api.get("/v1/datasets/baseline").get_json()["row_count"] == 3


def test_a_key_is_shown_once_works_and_ends(api: Api) -> None:
    wanted, once = {"name": "pipeline", "role": "operator"}, {"Idempotency-Key": "k"}
    made = api.post("/v1/keys", wanted, key="admin", headers=once)
    body = made.get_json()
    assert made.status_code == 201
    assert api.get("/v1/jobs", key=body["key"]).status_code == 200
    listed = api.get("/v1/keys", key="admin").get_json()["items"]
    assert body["id"] in [key["id"] for key in listed]
    assert not any("key" in key or "secret_hash" in key for key in listed)
    again = api.post(
        "/v1/keys", {"name": "pipeline", "role": "operator"}, key="admin", headers={"Idempotency-Key": "k"}
    )
    assert (again.get_json()["id"], again.get_json()["key"]) == (body["id"], None)
    assert body["key"] not in str(list(api.db.idempotency.find()))
    assert api.call("DELETE", f"/v1/keys/{body['id']}", key="admin").status_code == 200
    problem(api.get("/v1/jobs", key=body["key"]), 401)


def test_limits_change_one_by_one(api: Api) -> None:
    before = api.get("/v1/organisation").get_json()["limits"]
    answer = api.call("PATCH", "/v1/organisation", json={"limits": {"concurrent_jobs": 2}}, key="admin")
    assert answer.get_json()["limits"] == {**before, "concurrent_jobs": 2}
    problem(api.call("PATCH", "/v1/organisation", json={"limits": {"concurrent_jobs": 0}}, key="admin"), 422)
    problem(api.call("PATCH", "/v1/organisation", json={"limits": {"max_upload_bytes": 1}}, key="admin"), 422)


def test_a_request_id_is_given_back_if_it_can_be(api: Api) -> None:
    assert api.get("/v1/jobs", headers={"X-Request-Id": "my-id"}).headers["X-Request-Id"] == "my-id"
    assert api.get("/v1/jobs", headers={"X-Request-Id": "no id"}).headers["X-Request-Id"] != "no id"


def test_queues_show_what_waits(api: Api) -> None:
    api.job()
    assert api.get("/v1/queues").get_json()["items"] == [
        {"kind": kind, "queue": f"jobs.{kind}", "waiting": int(kind == "upload"), "running": 0}
        for kind in topology.KINDS
    ]
    assert api.get("/v1/queues", key="other viewer").get_json()["items"][0]["waiting"] == 0


def test_the_description_has_every_call(api: Api) -> None:
    document = api.get("/openapi.json", key=None).get_json()
    assert document["openapi"].startswith("3.1")
    assert {"post", "get"} <= document["paths"]["/v1/jobs"].keys()
    for verb in ("pause", "resume", "stop", "confirm", "terminate", "undo", "restart"):
        assert "post" in document["paths"][f"/v1/jobs/{{job_id}}/{verb}"]
    page = api.get("/docs", key=None)
    assert 'data-description="openapi.json"' in page.text


def test_a_job_that_was_stopped_can_be_undone_and_says_what_that_would_do(api: Api) -> None:
    job = api.job()["id"]
    api.verb(job, "stop")
    preview = api.verb(job, "undo", "?validate_only=true").get_json()
    assert preview == {"will_delete": 0, "will_restore": 0, "conflicts": 0, "seconds": 0.0}
    assert api.verb(job, "undo").get_json()["state"] == "undone"
    assert api.stored(job).state is State.UNDONE
