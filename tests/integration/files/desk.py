"""A support desk: a file goes in through the API, a worker runs it, and the outcome is looked at from every side."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from ulid import ULID

from collect.admin.check import check
from collect.api.jobs import Job, Reject
from collect.client.api import CollectClient
from collect.client.errors import Refused
from collect.jobs.restarts import LEFT_ROWS
from collect.jobs.states import State
from collect.jobs.template import Template
from collect.storage import api_keys, datasets
from collect.storage.database import transact
from collect.storage.rejects import MOST_STORED
from collect.testing.system import Service, System

ORG = "labs"
SECONDS = 60.0
COLUMNS: list[dict[str, Any]] = [
    {"name": "k", "type": "string"},
    {"name": "n", "type": "integer"},
    {"name": "s", "type": "string"},
]
ANY_NUMBER = {"rows": 1_000_000}

Sendable = bytes | Path | Iterable[bytes]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What has become of a file: the job, what the dataset holds (values by key), and each row that was not written."""

    job: Job
    rows: dict[str, dict[str, Any]]
    numbers: dict[str, int]
    """The number of the row that each key was written by."""
    rejects: list[Reject]

    @property
    def state(self) -> str:
        return self.job.state.value

    @property
    def code(self) -> str | None:
        return None if self.job.reason is None else self.job.reason.code

    @property
    def sentence(self) -> str:
        """What the person reads."""
        return self.job.status

    @property
    def rejected(self) -> dict[int, tuple[str, str, str]]:
        """Field, code and line of each rejected row."""
        return {reject.row: (reject.field, reject.code, reject.line) for reject in self.rejects}

    @property
    def said(self) -> dict[int, str]:
        return {reject.row: reject.message for reject in self.rejects}


class Desk(System):
    """A gateway, a monitor and a worker that all cases share; each case has a dataset of its own."""

    client: CollectClient
    token: str
    gateway_service: Service
    worker_service: Service
    monitor_service: Service

    def open(self) -> None:
        """Start all services."""
        self.prepare(ORG)
        self.token = api_keys.create(self.db, org_id=ORG, name="desk", role="operator").secret
        self.gateway_service = self.gateway()
        self.monitor_service = self.monitor()
        self.worker_service = self.worker()
        self.client = CollectClient(url=self.url, api_key=self.token)

    def new_dataset(self, columns: Sequence[dict[str, Any]] = COLUMNS, *, key: Sequence[str] = ("k",)) -> str:
        template = Template.model_validate({"key": list(key), "columns": list(columns)})
        name = f"d{ULID()}".lower()
        transact(self.db, lambda tx: datasets.put(tx, org_id=ORG, name=name, template=template))
        return name

    def send(self, data: Sendable, name: str = "survey.csv") -> str:
        """The file's id."""
        if isinstance(data, Path):
            return self.client.files.upload(data, name=name).id
        if isinstance(data, bytes):
            return self.client.files.upload(io.BytesIO(data), name=name).id
        answer = requests.post(
            f"{self.url}/v1/files", params={"name": name}, data=iter(data), headers=self.headers, timeout=600
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def start(self, file_id: str, dataset: str, **params: Any) -> str:
        wanted = {"file_id": file_id, "dataset": dataset, "max_rejected": ANY_NUMBER, **params}
        return self.client.jobs.create("upload", wanted, reason="a test").id

    def run(self, data: Sendable, *, dataset: str | None = None, name: str = "survey.csv", **params: Any) -> Outcome:
        """Send a file, start a job with it, and wait until it rests."""
        into = dataset or self.new_dataset()
        return self.outcome(self.start(self.send(data, name), into, **params))

    def outcome(self, job_id: str, *, seconds: float = SECONDS) -> Outcome:
        """The job at rest; every row has exactly one outcome, and the counts are those of what is stored."""
        job = self.client.jobs.wait(job_id, "rest", timeout_seconds=seconds)
        documents = list(self.db.rows.find({"dataset": job.params["dataset"]}))
        prefix = f"{ORG}|{job.params['dataset']}|"
        outcome = Outcome(
            job=job,
            rows={document["_id"].removeprefix(prefix): document["values"] for document in documents},
            numbers={document["_id"].removeprefix(prefix): document["row"] for document in documents},
            rejects=list(self.client.jobs.rejects(job_id)),
        )
        self._adds_up(outcome)
        return outcome

    def refused(
        self, data: Sendable, *, dataset: str | None = None, name: str = "survey.csv", **params: Any
    ) -> Outcome:
        """Run a file of which nothing can be read: the preview says the same as the job, and nothing is written."""
        into = dataset or self.new_dataset()
        file_id = self.send(data)
        seen = self.client.jobs.preview("upload", {"file_id": file_id, "dataset": into, **params})
        outcome = self.outcome(self.start(file_id, into, **params))
        assert (outcome.state, outcome.rows, outcome.rejects) == ("failed", {}, [])
        assert outcome.code in [error.code for error in seen.errors]
        assert not seen.ok
        assert seen.errors[0].message in outcome.sentence
        return outcome

    def unprocessed_bytes(self, job_id: str) -> bytes | None:
        """The rows that no chunk has reached, as they come; ``None`` if the file cannot be read up to them."""
        path = self.folder / f"unprocessed-{job_id}.csv"
        try:
            self.client.jobs.save_unprocessed(job_id, path)
        except Refused as refused:
            if refused.code != "unreadable_file":
                raise
            return None
        return path.read_bytes()

    def rejects_csv(self, job_id: str, delimiter: str = ",") -> list[list[str]]:
        path = self.folder / f"rejects-{job_id}.csv"
        self.client.jobs.save_rejects(job_id, path)
        return list(csv.reader(io.StringIO(path.read_text(), newline=""), delimiter=delimiter))

    def sound(self) -> None:
        findings = check(self.db)
        assert not findings, "\n".join(str(finding) for finding in findings)

    def _left(self, job: Job) -> int:
        """The records that the job says it has never reached, as csv counts them."""
        seen = self.client.jobs.preview("upload", job.params)
        data = self.unprocessed_bytes(job.id)
        assert data is not None
        csv.field_size_limit(max(csv.field_size_limit(), len(data)))
        records = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=seen.delimiter or ",")
        return sum(1 for record in records if any(record)) - int(bool(seen.has_header))

    def _adds_up(self, outcome: Outcome) -> None:
        job, progress = outcome.job, outcome.job.progress
        assert progress.done == progress.succeeded + progress.rejected
        assert min(progress.rejected, MOST_STORED) <= len(outcome.rejects) <= progress.rejected
        if job.state is State.SUCCEEDED:
            assert progress.done == progress.total
        if job.state in LEFT_ROWS and progress.total is not None:
            assert progress.done + self._left(job) == progress.total
        mark = {"written_by": {"$gte": f"{job.id}:", "$lt": f"{job.id};"}}
        if job.params.get("mode") != "upsert":
            assert self.db.rows.count_documents(mark) == progress.succeeded


def reset_peak(pid: int) -> int:
    """Let the kernel forget how much memory the process had at most; returns what it has now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_bytes(pid)


def peak_bytes(pid: int) -> int:
    """The most memory that the process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
