"""Rejects of a running system are summed up, and corrected by their values, from a shell."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collect.api.jobs import MaxRejected
from integration.files.desk import Desk
from support.waiting import eventually

COLUMNS: list[dict[str, Any]] = [
    {"name": "k", "type": "string"},
    {"name": "district", "type": "enum", "values": ["Pune", "Nashik"]},
    {"name": "n", "type": "integer"},
]
ROWS = 600
DISTRICTS = ("Pune", "Puna", "pune ", "Nasik")


@pytest.fixture
def dataset(desk: Desk) -> str:
    return desk.new_dataset(COLUMNS)


def collect(desk: Desk, *arguments: object) -> str:
    """What the command prints; it ends well."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("collect"), *map(str, arguments)],
        env={**os.environ, "COLLECT_URL": desk.url, "COLLECT_API_KEY": desk.token},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def data() -> bytes:
    lines = [f"k{row},{DISTRICTS[row % 4]},{'k.A.' if row % 10 == 0 else row}\n" for row in range(ROWS)]
    return ("k,district,n\n" + "".join(lines)).encode()


def test_a_table_of_values_that_is_filled_in_corrects_every_row_in_one_request(
    desk: Desk, dataset: str, tmp_path: Path
) -> None:
    outcome = desk.run(data(), dataset=dataset)
    assert len(outcome.rejects) == 480
    table = tmp_path / "values.csv"
    collect(desk, "rejects", outcome.job.id, "--summary", "-o", table)
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"), newline="")))
    assert {(row["column"], row["value"]) for row in rows} == {
        ("district", "Puna"), ("district", "pune "), ("district", "Nasik"), ("n", "k.A."),
    }  # fmt: skip
    good = {"Puna": "Pune", "pune ": "Pune", "Nasik": "Nashik", "k.A.": "-1"}
    with table.open("w", encoding="utf-8-sig", newline="") as filled:
        writer = csv.DictWriter(filled, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows({**row, "replacement": good[row["value"]]} for row in rows)
    told = json.loads(collect(desk, "correct", outcome.job.id, "--map", table, "--wait", "--json"))
    assert (told["state"], told["progress"]["succeeded"], told["progress"]["rejected"]) == ("succeeded", ROWS, 0)
    after = desk.outcome(outcome.job.id)
    assert {row["district"] for row in after.rows.values()} == {"Pune", "Nashik"}
    assert after.rows["k10"]["n"] == -1
    assert json.loads(collect(desk, "rejects", outcome.job.id, "--summary", "--json"))["items"] == []


def test_what_the_first_job_has_written_is_named_when_a_restart_pauses_or_ends(desk: Desk, dataset: str) -> None:
    rows = 40_000
    lines = [f"k{row},Pune,{row}\n".encode() for row in range(rows)]
    file_id = desk.send(b"k,district,n\n" + b"".join(lines))
    wanted = {"file_id": file_id, "dataset": dataset, "max_rejected": {"rows": 10}}
    parent = desk.client.jobs.create("upload", wanted, reason="a test", max_rows_per_second=20_000.0)
    desk.client.jobs.wait(parent.id, "running", timeout_seconds=60)
    eventually(lambda: desk.client.jobs.get(parent.id).progress.done > 0, seconds=60, what="rows are written")
    desk.client.jobs.stop(parent.id, reason="a test")
    child = desk.client.jobs.restart(parent.id, reason="a test")
    assert (child.max_rows_per_second, child.max_rejected) == (20_000.0, MaxRejected(rows=10))
    paused = desk.outcome(child.id)
    assert (paused.state, paused.code) == ("paused", "rejections_over_limit")
    assert paused.job.reason is not None
    hint = paused.job.reason.hint or ""
    assert f"written by job {parent.id}" in hint
    assert f"/v1/jobs/{parent.id}/unprocessed?format=csv" in hint
    desk.client.jobs.terminate(child.id, reason="a test", wait_seconds=60)
    any_number = {"max_rejected": {"percent": 100.0}}
    ended = desk.outcome(desk.client.jobs.restart(parent.id, reason="a test", params=any_number).id)
    assert (ended.state, ended.code) == ("succeeded", "rows_of_parent")
    assert f"written by job {parent.id}, which this one restarts." in ended.sentence
    assert ended.job.reason is not None
    hint = ended.job.reason.hint or ""
    assert f"/v1/jobs/{parent.id}/unprocessed?format=csv" in hint
    assert f"undo job {parent.id}" in hint


def test_a_file_in_another_encoding_is_read_by_its_name_from_a_shell(desk: Desk, tmp_path: Path) -> None:
    dataset = desk.new_dataset()
    path = tmp_path / "survey.csv"
    path.write_bytes("調査 2017\nk\tn\ts\na\t1\t東京\n".encode("cp932"))
    how = ("--encoding", "shift_jis", "--delimiter", "tab", "--skip-lines", "1")
    told = json.loads(collect(desk, "create", "upload", path, "--dataset", dataset, *how, "--wait", "--json"))
    assert told["state"] == "succeeded"
    assert desk.outcome(told["id"]).rows == {"a": {"k": "a", "n": 1, "s": "東京"}}
