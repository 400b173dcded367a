"""What an export can be asked for beside its format, through the API; and that what it wrote can be uploaded again."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from collect.admin.check import check
from collect.jobs.forms import FieldType, Form, FormField
from collect.jobs.states import State
from collect.jobs.template import Template
from collect.storage import datasets, forms
from collect.storage.database import transact
from collect.testing.system import eventually
from integration.export.counter import ORG, T0, Counter, csv_rows, json_rows, table, unpacked

FIELDS = {
    "response_id": FieldType.STRING,
    "submitted_at": FieldType.DATETIME,
    "name": FieldType.STRING,
    "born_on": FieldType.DATE,
    "height": FieldType.NUMBER,
    "crops": FieldType.JSON,
}


def preview(counter: Counter, form_id: str, **params: Any) -> dict[str, Any]:
    answer = requests.post(
        f"{counter.url}/v1/jobs?validate_only=true",
        json={"kind": "export", "params": {"form_id": form_id, **params}, "reason": "a test"},
        headers=counter.headers,
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_times_are_written_by_the_clocks_that_were_asked_for(counter: Counter) -> None:
    form = counter.new_form(FIELDS)
    counter.answer(form, [{"born_on": datetime(1986, 2, 28, tzinfo=UTC)}])
    (row,) = csv_rows(counter.run(form, time_zone="Asia/Kolkata"))
    assert (row["submitted_at"], row["born_on"]) == ("2017-08-01T05:30:00.000+05:30", "1986-02-28")
    (line,) = json_rows(counter.run(form, format="jsonl", time_zone="America/New_York"))
    assert line["submitted_at"] == "2017-07-31T20:00:00.000-04:00"
    found = table(counter.run(form, format="parquet", time_zone="Asia/Kolkata"))
    assert found.to_pydict()["submitted_at"] == [T0]
    assert "Asia/Kolkata" in str(found.schema.field("submitted_at").type)


@pytest.mark.parametrize("format_", ["csv", "csv.gz"])
def test_a_csv_is_what_a_spreadsheet_of_the_place_opens(counter: Counter, format_: str) -> None:
    form = counter.new_form({"name": FieldType.STRING, "height": FieldType.NUMBER})
    counter.answer(form, [{"name": "a;b", "height": 1.5}, {"name": None}, {"name": "NA"}])
    job_id = counter.start(form, format=format_, delimiter=";", bom=True, null_text="NA")
    counter.rests(job_id)
    data = counter.result(job_id)
    data = unpacked(data) if format_ == "csv.gz" else data
    assert data == b'\xef\xbb\xbfname;height\n"a;b";1.5\nNA;NA\n"NA";NA\n'
    assert counter.manifest(job_id)["texts_like_null"] == {"name": 1}


CROPS = [["rice"], ["wheat", "rice"], [], None, ["maize", ""]]


def test_each_choice_that_was_taken_is_a_column(counter: Counter) -> None:
    form = counter.new_form(FIELDS)
    counter.answer(form, ({"crops": crops} for crops in CROPS))
    names = [*list(FIELDS), "crops/maize", "crops/rice", "crops/wheat"]
    assert [column["name"] for column in preview(counter, form, split_multiple=True)["columns"]] == names
    rows = csv_rows(counter.run(form, split_multiple=True))
    assert list(rows[0]) == names
    assert [row["crops/rice"] for row in rows] == ["true", "true", "", "", "false"]
    assert [row["crops"] for row in rows] == ['["rice"]', '["wheat","rice"]', "[]", "", '["maize",""]']
    lines = json_rows(counter.run(form, format="jsonl", split_multiple=True))
    assert [line["crops/maize"] for line in lines] == [False, False, None, None, True]
    found = table(counter.run(form, format="parquet", split_multiple=True)).to_pydict()
    assert found["crops/wheat"] == [False, True, None, None, False]


def test_choices_of_the_form_are_columns_and_others_are_counted(counter: Counter) -> None:
    form_id = counter.new_form({"name": FieldType.STRING})
    fields = (
        FormField(name="name", type=FieldType.STRING),
        FormField(name="crops", type=FieldType.STRING, choices=("wheat", "rice")),
    )
    forms.ensure(counter.db, Form(org_id=ORG, form_id=form_id, title="f", version=2, fields=fields))
    counter.answer(form_id, [{"crops": "rice wheat"}, {"crops": "maize"}, {}])
    job_id = counter.start(form_id, split_multiple=True)
    counter.rests(job_id)
    rows = csv_rows(counter.result(job_id))
    assert list(rows[0]) == ["name", "crops", "crops/wheat", "crops/rice"]
    assert [(row["crops"], row["crops/rice"]) for row in rows] == [
        ("rice wheat", "true"), ("maize", "false"), ("", ""),
    ]  # fmt: skip
    assert counter.manifest(job_id)["choices_left_out"] == {"crops": 1}


def test_a_list_of_free_texts_is_not_split_and_the_preview_says_so(counter: Counter) -> None:
    form = counter.new_form(FIELDS)
    counter.answer(form, ({"crops": [f"text {n}"]} for n in range(201)))
    found = preview(counter, form, split_multiple=True)
    assert [column["name"] for column in found["columns"]] == list(FIELDS)
    (warning,) = [each for each in found["warnings"] if each["code"] == "choices_not_split"]
    assert warning["columns"] == ["crops"]


def test_fields_that_the_form_has_no_more_are_named_in_preview_and_manifest(counter: Counter) -> None:
    form = counter.new_form(FIELDS)
    counter.answer(form, [{"caste": "x", "a.b": 1}, {"caste": None}, {"caste": "y"}])
    for format_ in ("csv", "csv.gz", "jsonl", "parquet"):
        job_id = counter.start(form, format=format_)
        counter.rests(job_id)
        assert counter.manifest(job_id)["fields_left_out"] == {"a.b": 1, "caste": 2}
    (warning,) = preview(counter, form)["warnings"]
    assert warning["code"] == "fields_left_out"
    assert (warning["columns"], warning["evidence"]) == (["a.b", "caste"], {"a.b": 1, "caste": 2})
    assert warning["message"].startswith("Of 3 responses that were looked at, ")


def test_a_stopped_export_names_them_too(counter: Counter) -> None:
    form = counter.new_form(FIELDS)
    counter.answer(form, ({"caste": "x"} for _ in range(30_000)))
    job = counter.client.jobs.create("export", {"form_id": form}, reason="a test", max_rows_per_second=2_000)
    eventually(lambda: counter.db.ledger.find_one({"job_id": job.id}), seconds=60, what="a chunk is written")
    assert counter.client.jobs.stop(job.id, reason="enough").state == State.STOPPED
    manifest = counter.manifest(job.id)
    assert manifest["complete"] is False
    assert manifest["fields_left_out"] == {"caste": manifest["rows"]}
    assert 0 < manifest["rows"] < 30_000


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "params.time_zone"),
        ({"bom": True, "format": "parquet"}, "params.bom"),
        ({"delimiter": "x"}, "params.delimiter"),
        ({"delimiter": ";", "format": "jsonl"}, "params.delimiter"),
        ({"null_text": "a,b"}, "params.null_text"),
        ({"null_text": "NA", "format": "jsonl"}, "params.null_text"),
        ({"split_multiple": "yes"}, "params.split_multiple"),
    ],
)
@pytest.mark.parametrize("validate_only", ["true", "false"])
def test_what_makes_no_sense_is_422_and_names_the_field(
    counter: Counter, params: dict[str, Any], field: str, validate_only: str
) -> None:
    form = counter.new_form(FIELDS)
    answer = requests.post(
        f"{counter.url}/v1/jobs?validate_only={validate_only}",
        json={"kind": "export", "params": {"form_id": form, **params}, "reason": "a test"},
        headers=counter.headers,
        timeout=30,
    )
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_what_an_export_wrote_is_uploaded_with_the_same_values(counter: Counter) -> None:
    counter.worker(kind="upload")
    form = counter.new_form(FIELDS)
    stored = counter.answer(
        form,
        [
            {"name": "=1+1", "height": math.nan, "born_on": datetime(1986, 2, 28, tzinfo=UTC)},
            {"name": "'=1+1", "height": math.inf},
            {"name": "+91 94310 00123", "height": 1.5},
            {"name": 'a,"b"\r\n', "height": -math.inf},
            {"name": "NaN", "submitted_at": T0 + timedelta(milliseconds=1)},
        ],
    )
    columns = [{"name": name, "type": kind.value} for name, kind in FIELDS.items() if kind is not FieldType.JSON]
    template = Template.model_validate({"key": ["response_id"], "columns": columns})
    transact(counter.db, lambda tx: datasets.put(tx, org_id=ORG, name="again", template=template))
    data = counter.run(form, columns=[column["name"] for column in columns], time_zone="America/New_York")
    path = counter.folder / "again.csv"
    path.write_bytes(data)
    file = counter.client.files.upload(path)
    job = counter.client.jobs.create("upload", {"file_id": file.id, "dataset": "again"}, reason="a test")
    job = counter.rests(job.id)
    assert (job.state.value, job.progress.succeeded, job.progress.rejected) == ("succeeded", len(stored), 0)
    assert (job.params["formula_guarded"], job.params["not_finite"]) == (True, True)
    rows = {row["values"]["response_id"]: row["values"] for row in counter.db.rows.find({"dataset": "again"})}
    for document in stored:
        for name in ("name", "submitted_at", "born_on"):
            assert rows[document["response_id"]].get(name) == document.get(name)
        height = document.get("height")
        assert repr(rows[document["response_id"]].get("height")) == repr(height)
    answer = requests.get(f"{counter.url}/v1/datasets/again/rows", headers=counter.headers, timeout=30)
    json.loads(answer.text, parse_constant=pytest.fail)
    assert check(counter.db) == []
