"""Small jobs a second through one worker of two slots: each sent with its file, in one request, by a few clients.

    make bench ONLY=small

Each client has a dataset of its own in turn, since a dataset has one job at a time; a job that finds its dataset taken
stands in line. For a minute :data:`RATE` jobs a second are sent; then what was accepted is run to its end.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from collect.demo import baseline
from collect.jobs.states import State
from collect.storage.database import Database
from collect.testing.system import eventually
from rig import ORG, Rig, rig, say, told

CLIENTS = 4
DATASETS = 32
ROWS = 50
SECONDS = 60.0
RATE = 20.0
LONGEST_SECONDS = 600.0


class Sender:
    """Sends jobs one after the other, from several threads, for a while."""

    def __init__(self, rig_: Rig, *, rows: int) -> None:
        self._rig = rig_
        self._rows = rows
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.answered: list[float] = []
        """Milliseconds of each request."""

    def run(self, first: float) -> None:
        """Send this client's share, each when its time has come, from ``first`` on."""
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self._rig.token}"
            while (number := next(self._numbers)) < SECONDS * RATE:
                wait = max(0.0, first + number / RATE - time.monotonic())
                time.sleep(wait)  # the load: so many requests a second, each at its time
                began = time.monotonic()
                self.send(session, number)
                with self._lock:
                    self.answered.append((time.monotonic() - began) * 1000)

    def send(self, session: requests.Session, number: int) -> None:
        """One job with its file; fails when it is refused."""
        params = {"dataset": dataset(number % DATASETS), "on_conflict": "queue"}
        job = {"kind": "upload", "params": params, "reason": "bench"}
        text = "respondent_id,age\n" + "".join(f"{number}-{row},{row % 100}\n" for row in range(self._rows))
        answer = session.post(
            f"{self._rig.url}/v1/jobs",
            files={"file": ("small.csv", text.encode())},
            data={"job": json.dumps(job)},
            timeout=60,
        )
        assert answer.ok, answer.text


def dataset(number: int) -> str:
    return f"{baseline.NAME}{number}"


def ended(db: Database) -> int:
    return db.jobs.count_documents({"state": State.SUCCEEDED.value})


def main(*, rows: int = ROWS) -> None:
    with rig() as rig_:
        limits = {"limits.requests_per_minute": 1_000_000, "limits.concurrent_jobs": 1_000}
        rig_.db.orgs.update_one({"_id": ORG}, {"$set": limits})
        for number in range(DATASETS):
            rig_.dataset(dataset(number))
        rig_.worker(slots=2)
        sender = Sender(rig_, rows=rows)
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients:
            for sending in [clients.submit(sender.run, began) for _ in range(CLIENTS)]:
                sending.result()
        sent, within = len(sender.answered), ended(rig_.db)
        eventually(lambda: ended(rig_.db) == sent, seconds=LONGEST_SECONDS, what=f"all of {sent} jobs have succeeded")
        seconds = time.monotonic() - began
        say(
            f"small jobs of {rows} rows: {sent} accepted, {within} of them finished when the last was sent; all had "
            f"succeeded after {seconds:.1f} s, {sent / seconds:.1f}/s"
        )
        told("request with file → answer", sender.answered, "ms")
