"""When the storm is over: everything heals, every job comes to rest, and then everything is taken back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from collect.client.api import CollectClient
from collect.client.errors import ClientError
from collect.jobs.states import ACTIVE, State
from storm.field import CALM, Field
from storm.findings import Findings
from storm.log import Log
from storm.plan import DATASETS, OF_FILES, ORGANISATIONS
from storm.watch import marks_of

REST_SECONDS = 240.0
TAKE_BACK_SECONDS = 180.0
POLL_SECONDS = 0.2
UNDECIDED = frozenset({State.PAUSED, State.AWAITING_CONFIRMATION, State.UNDO_FAILED})
"""At rest, but in the way of others."""


class Ending:
    """Acts through the gateways, like everybody."""

    def __init__(self, *, field: Field, log: Log, findings: Findings, seed: int) -> None:
        self._field = field
        self._log = log
        self._findings = findings
        self._rng = random.Random(f"{seed} ending")
        self._clients: dict[str, CollectClient] = {}

    def __enter__(self) -> Ending:
        self._clients = {org_id: self._field.client(org_id, 0, patience=CALM) for org_id in ORGANISATIONS}
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()

    def rest(self) -> float:
        """Decide what people have left undecided, until every job rests, none is in the way, and all messages are sent.

        Returns how many seconds it took.
        """
        began = time.monotonic()
        while True:
            self._field.supervise()
            fields = {"state": 1, "org_id": 1, "kind": 1}
            states = {job["_id"]: job for job in self._field.db.jobs.find({}, fields)}
            for job_id, job in states.items():
                if State(job["state"]) in UNDECIDED:
                    self._decide(job_id, job, State(job["state"]))
            moving = {key: job["state"] for key, job in states.items() if State(job["state"]) in ACTIVE | UNDECIDED}
            unsent = self._field.db.outbox.count_documents({})
            if not moving and not unsent:
                return time.monotonic() - began
            if time.monotonic() - began > REST_SECONDS:
                self._findings.add("not_at_rest", f"{REST_SECONDS:g} s after the storm: {unsent} unsent, {moving}")
                return time.monotonic() - began
            time.sleep(POLL_SECONDS)  # a system at rest is waited for, with a deadline

    def take_back(self) -> int:
        """Undo whatever has left its mark, until the datasets are empty again; returns how many undos it took."""
        places = [(org_id, name) for org_id in ORGANISATIONS for name in DATASETS]
        with ThreadPoolExecutor(len(places)) as threads:
            done = list(threads.map(lambda place: self._empty(*place), places))
        return sum(done)

    def _decide(self, job_id: str, job: dict[str, Any], state: State) -> None:
        jobs = self._clients[job["org_id"]].jobs
        more = {"percent": 100.0} if job["kind"] in OF_FILES else None
        reason = "the storm is over"
        choices: list[Callable[[], object]] = [
            lambda: jobs.stop(job_id, reason=reason),
            lambda: jobs.terminate(job_id, reason=reason),
        ]
        if state is State.AWAITING_CONFIRMATION:
            choices += [lambda: jobs.confirm(job_id, reason=reason)] * 2
        elif state is State.PAUSED:
            choices += [lambda: jobs.resume(job_id, reason=reason, max_rejected=more)] * 4
        else:
            choices = [lambda: jobs.undo(job_id, reason=reason)]
        try:
            self._rng.choice(choices)()
        except ClientError as error:
            self._log.write("not_decided", job_id=job_id, state=state, error=str(error)[:200])

    def _empty(self, org_id: str, dataset: str) -> int:
        deadline = time.monotonic() + TAKE_BACK_SECONDS
        undone = 0
        while (writer := self._writer(org_id, dataset)) is not None:
            job_id, rows = writer
            if time.monotonic() > deadline:
                self._findings.add("not_taken_back", f"{TAKE_BACK_SECONDS:g} s were not enough for {dataset}")
                return undone
            try:
                self._clients[org_id].jobs.undo(job_id, reason="all of it")
                job = self._clients[org_id].jobs.wait(job_id, "rest", timeout_seconds=60)
            except ClientError as error:
                self._findings.add("not_taken_back", f"{rows} rows of {job_id}: {error.code} {error}")
                return undone
            undone += 1
            left = marks_of(self._field.db, job_id)
            if job.state not in (State.UNDONE, State.TERMINATED) or left:
                said = f"{left} of {rows} rows of {job_id}: it is {job.state}, {job.conflicts} conflicts"
                self._findings.add("not_taken_back", said)
                return undone
        return undone

    def _writer(self, org_id: str, dataset: str) -> tuple[str, int] | None:
        """The job whose mark most rows carry, and how many."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"_id": {"$gte": f"{org_id}|{dataset}|", "$lt": f"{org_id}|{dataset}}}"}}},
            {"$group": {"_id": {"$substrBytes": ["$written_by", 0, 26]}, "rows": {"$sum": 1}}},
            {"$sort": {"rows": -1}},
            {"$limit": 1},
        ]
        found = next(iter(self._field.db.rows.aggregate(pipeline)), None)
        return None if found is None else (found["_id"], found["rows"])
