"""The system under fire: the services of `collect.testing.system`, a client, files, and the checks that follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from collect.admin.check import check
from collect.client.api import CollectClient
from collect.demo import baseline
from collect.jobs.states import State
from collect.jobs.template import Template
from collect.storage import api_keys, datasets
from collect.storage.database import Document, transact
from collect.testing.system import Service, System, eventually

ORG = "labs"
REST_SECONDS = 120.0
KEPT = ("orgs", "datasets", "api_keys", "workers", "heartbeats")


class Plant(System):
    """A system with an organisation, a dataset and a key."""

    client: CollectClient
    token: str
    gateway_service: Service
    monitor_service: Service
    marks: Path
    """Where the files of the fault points are made, anew for each test."""
    kept: tuple[str, ...] = KEPT
    """Collections that outlive a test."""
    standing: dict[str, list[Document]]

    def open(self) -> None:
        """Start gateway and monitor."""
        self.prepare(ORG)
        self.marks = self.folder
        self.dataset(baseline.NAME)
        self.token = api_keys.create(self.db, org_id=ORG, name="faults", role="operator").secret
        self.gateway_service = self.gateway()
        self.monitor_service = self.monitor()
        self.client = CollectClient(url=self.url, api_key=self.token)

    def dataset(self, name: str) -> str:
        """A dataset with the baseline's template. Idempotent."""
        template = Template.model_validate({"key": baseline.KEY, "columns": baseline.TEMPLATE_COLUMNS})
        transact(self.db, lambda tx: datasets.put(tx, org_id=ORG, name=name, template=template))
        return name

    def end_workers(self) -> None:
        """Kill all that was started beside gateway and monitor."""
        standing = [self.gateway_service, self.monitor_service]
        for service in self.services:
            if service not in standing:
                service.kill()
        self.services[:] = standing

    def empty(self) -> None:
        """Forget all jobs and all that they have written. No worker may be at work."""
        for name in self.db.db.list_collection_names():
            if name not in self.kept:
                self.db[name].delete_many({})

    def stand(self) -> None:
        """Keep what there is now: each test that is lent this plant begins with it. No worker may be at work."""
        names = self.db.db.list_collection_names()
        self.standing = {name: list(self.db[name].find()) for name in names if name not in (*self.kept, "locks")}

    @contextmanager
    def lent(self, marks: Path) -> Iterator[Self]:
        """This plant for one test, with what stands. It is sound when the test ends."""
        self.empty()
        for name, documents in self.standing.items():
            if documents:
                self.db[name].insert_many(documents)
        self.marks = marks
        yield self
        self.end_workers()
        self.sound()

    def gateway_without_broker(self, amqp_url: str) -> Service:
        """A gateway in place of the other, whose broker does not answer: it commits, and cannot publish."""
        return self.gateway(AMQP_URL=amqp_url)

    def file(self, *, rows: int, rejects: int = 0, seed: int = 1) -> Path:
        """A baseline file; one row in `rejects` is bad."""
        path = self.folder / f"baseline-{rows}-{rejects}-{seed}.csv"
        if not path.exists():
            baseline.save_csv(baseline.Survey(rows=rows, rejects=rejects, seed=seed), path)
        return path

    def upload(self, path: Path, *, rows_per_second: float | None = None, **params: Any) -> str:
        """Start an upload; returns the job's id."""
        file = self.client.files.upload(path)
        job = self.client.jobs.create(
            "upload",
            {"file_id": file.id, "dataset": baseline.NAME, **params},
            reason="a test",
            max_rows_per_second=rows_per_second,
        )
        return job.id

    def state(self, job_id: str) -> State:
        document = self.db.jobs.find_one({"_id": job_id}, {"state": 1})
        assert document is not None
        return State(document["state"])

    def until_state(self, job_id: str, *states: State, seconds: float = REST_SECONDS) -> State:
        return eventually(
            lambda: ((found := self.state(job_id)) in states and found) or None,
            seconds=seconds,
            what=f"job {job_id} is {' or '.join(states)} (it is {self.state(job_id)})",
        )

    def until_written(self, job_id: str, *, rows: int = 1, seconds: float = REST_SECONDS) -> None:
        """Wait until that many rows of the job are in the dataset."""
        eventually(lambda: self.written(job_id) >= rows, seconds=seconds, what=f"{rows} rows of {job_id} are written")

    def until_planned(self, job_id: str) -> None:
        """Wait until all parts of the job stand."""
        planned = {"_id": job_id, "total_rows": {"$ne": None}}
        eventually(lambda: self.db.jobs.find_one(planned), seconds=REST_SECONDS, what=f"{job_id} is planned")

    def written(self, job_id: str) -> int:
        """Rows in the dataset that carry the job's mark, counted."""
        return self.db.rows.count_documents({"written_by": {"$gte": f"{job_id}:", "$lt": f"{job_id};"}})

    def parts(self, job_id: str) -> list[dict[str, Any]]:
        return list(self.db.parts.find({"job_id": job_id}).sort("n", 1))

    def leased(self, job_id: str) -> list[dict[str, Any]]:
        return [part for part in self.parts(job_id) if part["status"] == "leased"]

    def snapshot(self) -> list[dict[str, Any]]:
        """The dataset, document for document."""
        return list(self.db.rows.find().sort("_id", 1))

    def succeeded(self, job_id: str, *, rows: int, rejected: int = 0) -> None:
        """The job has succeeded, every row has one outcome, and every invariant holds."""
        self.until_state(job_id, State.SUCCEEDED)
        assert self.written(job_id) == rows - rejected
        assert self.db.rejects.count_documents({"job_id": job_id}) == rejected
        self.sound()

    def sound(self) -> None:
        """The invariants hold, as the stores show them."""
        findings = check(self.db)
        assert not findings, "\n".join(str(finding) for finding in findings)
