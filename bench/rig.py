"""The system under measure: services of `collect.testing.system` on the servers that `make up` has started."""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from collect.client.api import CollectClient
from collect.demo import baseline
from collect.jobs.states import State
from collect.jobs.template import Template
from collect.storage import api_keys, datasets
from collect.storage.database import transact
from collect.testing.system import System, eventually
from stack import rabbitmq

ORG = "labs"
SERVERS = ("MONGODB_URL", "AMQP_URL", "REDIS_URL", "RABBITMQ_MANAGEMENT_URL")


class Rig(System):
    """A gateway, a monitor, an organisation and its dataset; workers are started by the bench."""

    client: CollectClient
    token: str

    def open(self) -> None:
        self.prepare(ORG)
        self.dataset(baseline.NAME)
        self.token = api_keys.create(self.db, org_id=ORG, name="bench", role="operator").secret
        self.gateway()
        self.monitor()
        self.client = CollectClient(url=self.url, api_key=self.token)

    def dataset(self, name: str) -> None:
        """One more dataset with the baseline's template."""
        template = Template.model_validate({"key": baseline.KEY, "columns": baseline.TEMPLATE_COLUMNS})
        transact(self.db, lambda tx: datasets.put(tx, org_id=ORG, name=name, template=template))

    def file(self, rows: int, *, rejects: int = 0) -> Path:
        """A baseline file, kept between runs in the folder for temporary files."""
        path = Path(tempfile.gettempdir()) / f"collect-bench-{rows}-{rejects}.csv"
        if not path.exists():
            baseline.save_csv(baseline.Survey(rows=rows, rejects=rejects, seed=1), path)
        return path

    def upload(self, path: Path, **params: Any) -> str:
        file = self.client.files.upload(path)
        return self.create(file.id, **params)

    def create(self, file_id: str, **params: Any) -> str:
        job = self.client.jobs.create(
            "upload", {"file_id": file_id, "dataset": baseline.NAME, **params}, reason="bench"
        )
        return job.id

    def state(self, job_id: str) -> State:
        found = self.db.jobs.find_one({"_id": job_id}, {"state": 1})
        return State(found["state"]) if found else State.QUEUED

    def until(self, job_id: str, *states: State, seconds: float = 600.0) -> float:
        """Wait for a state; returns the seconds waited."""
        began = time.monotonic()
        eventually(lambda: self.state(job_id) in states, seconds=seconds, what=f"{job_id} is {states}")
        return time.monotonic() - began

    def written(self, job_id: str) -> int:
        """Rows that the job has written, by its ledger; the rows themselves are counted by :meth:`stored`."""
        total = {"$group": {"_id": None, "rows": {"$sum": "$counts.succeeded"}}}
        return next((found["rows"] for found in self.db.ledger.aggregate([{"$match": {"job_id": job_id}}, total])), 0)

    def stored(self, dataset: str) -> int:
        """Rows of the dataset, counted in the store."""
        return datasets.row_count(self.db, org_id=ORG, name=dataset)

    def slots_free(self, job_id: str) -> float | None:
        """Milliseconds from the last action's effect to no slot working on the job; ``None`` while one does."""
        action = self.client.jobs.get(job_id).last_action
        if action is None or action.slots_free_at is None or action.effective_at is None:
            return None
        return (action.slots_free_at - action.effective_at).total_seconds() * 1000

    def save_result(self, job_id: str, path: Path) -> None:
        """The result of an export as a file."""
        request = urllib.request.Request(
            f"{self.url}/v1/jobs/{job_id}/result", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=600) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file, 1024 * 1024)

    def ran_seconds(self, job_id: str) -> float:
        """From started to ended, as the job itself says."""
        job = self.client.jobs.get(job_id)
        assert job.started_at is not None
        assert job.ended_at is not None
        return (job.ended_at - job.started_at).total_seconds()


@contextmanager
def rig(**settings: str) -> Iterator[Rig]:
    """A rig on the servers named in the environment, in a database and a virtual host of its own."""
    missing = [name for name in SERVERS if not os.environ.get(name)]
    if missing:
        sys.exit(f"{', '.join(missing)} not set: run `make up`, then `. .local/demo.env` with `set -a`")
    name = f"bench_{secrets.token_hex(4)}"
    management = os.environ["RABBITMQ_MANAGEMENT_URL"]
    rabbitmq.create_vhost(management, name)
    with tempfile.TemporaryDirectory(prefix="collect-bench-") as folder:
        found = Rig(
            mongodb_url=os.environ["MONGODB_URL"],
            database=name,
            amqp_url=urlunsplit(urlsplit(os.environ["AMQP_URL"])._replace(path="/" + quote(name, safe=""))),
            redis_url=os.environ["REDIS_URL"],
            folder=Path(folder),
            settings=settings,
        )
        try:
            found.open()
            yield found
        finally:
            for service in reversed(found.services):
                service.stop()
            found.db.client.drop_database(name)
            found.db.close()
            rabbitmq.delete_vhost(management, name)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def told(name: str, values: Sequence[float], unit: str) -> None:
    """One line of figures: n, p50, p99, largest."""
    say(
        f"{name}: n={len(values)} p50={statistics.median(values):.1f} "
        f"p99={percentile(values, 0.99):.1f} max={max(values):.1f} {unit}"
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
