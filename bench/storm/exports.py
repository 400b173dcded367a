"""After the storm: each export's result against that of one which nobody disturbs, and what is left of none."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from collect.client.errors import ClientError
from collect.jobs.states import State
from collect.storage import results
from collect.storage.object_store import open_blobs
from storm.book import EXPECTED_FAILURES, TAKEN_BACK
from storm.field import CALM, Field
from storm.findings import Findings

QUIET_SECONDS = 120.0
GONE_SECONDS = 30.0
AT_ONCE = 4
POLL_SECONDS = 0.2

Document = dict[str, Any]


class Exports:
    """Looks at the jobs of kind export, which all rest, through the gateways and in the stores."""

    def __init__(self, *, field: Field, findings: Findings) -> None:
        self.compared = 0
        self._field = field
        self._db = field.db
        self._findings = findings
        self._blobs = open_blobs("gridfs://", field.db)
        self._quiet: dict[str, Path] = {}

    def check(self) -> None:
        """All of it; runs a quiet export for everything that one has succeeded with."""
        jobs = list(self._db.jobs.find({"kind": "export"}))
        wanted = {_wish(job): job for job in jobs if job["state"] == State.SUCCEEDED.value}
        with ThreadPoolExecutor(AT_ONCE) as threads:
            self._quiet = {wish: path for wish, path in threads.map(self._run, wanted.items()) if path is not None}
            list(threads.map(self._check_job, jobs))

    def take_back(self) -> None:
        """Undo them all, the quiet ones as well: no object is left."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(self._undo, list(self._db.jobs.find({"kind": "export"}))))
        self._until_gone(results.PREFIX, "every export was taken back")

    def _run(self, asked: tuple[str, Document]) -> tuple[str, Path | None]:
        wish, like = asked
        with self._field.client(like["org_id"], 0, patience=CALM) as client:
            try:
                params = {name: value for name, value in like["params"].items() if value is not None}
                job = client.jobs.create("export", params, reason="undisturbed", confirm="never")
                job = client.jobs.wait(job.id, "rest", timeout_seconds=QUIET_SECONDS)
                path = self._field.folder / f"quiet-{job.id}"
                client.jobs.download(job.id, path)
            except ClientError as error:
                self._findings.add("export", f"an undisturbed one of {wish}: {error.code} {error}")
                return wish, None
        return wish, path

    def _check_job(self, job: Document) -> None:
        state = State(job["state"])
        if state in (State.FAILED, State.UNDO_FAILED):
            reason = job["reason"] or {}
            if reason.get("code") not in EXPECTED_FAILURES:
                self._tell(job, f"it failed: {reason}")
        elif state in TAKEN_BACK:
            self._until_gone(results.prefix_of(job["_id"]), f"{job['_id']} is {state}")
        elif state in (State.SUCCEEDED, State.STOPPED):
            self._check_result(job, state)

    def _check_result(self, job: Document, state: State) -> None:
        with self._field.client(job["org_id"], 1, patience=CALM) as client:
            try:
                manifest = client.jobs.manifest(job["_id"])
                rows = sum(counts["succeeded"] for counts in self._counts(job))
                if (manifest.complete, manifest.rows) != (state is State.SUCCEEDED, rows):
                    self._tell(
                        job, f"{state}, {rows} rows; its manifest has complete {manifest.complete} and {manifest.rows}"
                    )
                if state is State.SUCCEEDED or job["params"]["format"] != results.NOT_JOINED:
                    path = self._field.folder / f"result-{job['_id']}"
                    client.jobs.download(job["_id"], path)
                    self._compare(job, state, path)
                    path.unlink()
            except ClientError as error:
                self._tell(job, f"its result cannot be had: {error.code} {error}")

    def _counts(self, job: Document) -> Iterable[Counter[str]]:
        for part in self._db.parts.find({"job_id": job["_id"]}, {"counts": 1}):
            yield Counter(part["counts"])

    def _compare(self, job: Document, state: State, path: Path) -> None:
        """A whole one is equal; of one that was stopped, each line stands in the whole one."""
        quiet = self._quiet.get(_wish(job))
        if quiet is None:
            return
        if job["params"]["format"] == results.NOT_JOINED:
            same = pq.read_table(path).equals(pq.read_table(quiet))
        elif state is State.SUCCEEDED:
            same = path.read_bytes() == quiet.read_bytes()
        elif job["params"]["format"] == "csv.gz":
            return
        else:
            lines = path.read_bytes().splitlines()
            same = len(lines) == len(set(lines)) and set(lines) <= set(quiet.read_bytes().splitlines())
        self.compared += 1
        if not same:
            self._tell(job, f"{state}, {path.stat().st_size} bytes: its result is not that of an undisturbed one")

    def _undo(self, job: Document) -> None:
        if job["state"] not in (State.SUCCEEDED.value, State.STOPPED.value, State.FAILED.value):
            return
        with self._field.client(job["org_id"], 0, patience=CALM) as client:
            try:
                client.jobs.undo(job["_id"], reason="all of it")
                state = client.jobs.wait(job["_id"], "rest", timeout_seconds=QUIET_SECONDS).state
            except ClientError as error:
                self._tell(job, f"it cannot be undone: {error.code} {error}")
                return
        if state is not State.UNDONE:
            self._tell(job, f"it was to be undone, and is {state}")

    def _until_gone(self, prefix: str, why: str) -> None:
        deadline = time.monotonic() + GONE_SECONDS
        while (left := [name for name, _ in self._blobs.stored(prefix)]) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # the monitor removes them in its own time, of which there is a deadline
        if left:
            self._findings.add("left_behind", f"{why}, and {len(left)} objects are there: {left[:5]}")

    def _tell(self, job: Document, message: str) -> None:
        self._findings.add("export", f"{job['_id']} ({_wish(job)}): {message}")


def _wish(job: Document) -> str:
    """Jobs that want the same are to give the same."""
    params = {name: value for name, value in job["params"].items() if value is not None}
    return json.dumps([job["org_id"], params], sort_keys=True)
