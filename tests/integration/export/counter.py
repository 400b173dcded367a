"""Where exports are asked for: a form with responses of a test's own, and what a job gives of them, read every way."""

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import requests
from ulid import ULID

from collect.admin.check import check
from collect.api.jobs import Job
from collect.client.api import CollectClient
from collect.jobs.forms import FieldType, Form, FormField
from collect.storage import api_keys, forms
from collect.testing.system import Service, System

ORG = "labs"
SECONDS = 60.0
T0 = datetime(2017, 8, 1, tzinfo=UTC)
FIELDS = {
    "response_id": FieldType.STRING,
    "submitted_at": FieldType.DATETIME,
    "name": FieldType.STRING,
    "age": FieldType.INTEGER,
    "height": FieldType.NUMBER,
    "married": FieldType.BOOLEAN,
    "born_on": FieldType.DATE,
    "phone": FieldType.PHONE,
    "more": FieldType.JSON,
}


class Counter(System):
    """A gateway, a monitor and an export worker that all cases share; each case has a form of its own."""

    client: CollectClient
    token: str
    worker_service: Service

    def open(self) -> None:
        """Start all services."""
        self.prepare(ORG)
        self.token = api_keys.create(self.db, org_id=ORG, name="counter", role="operator").secret
        self.gateway()
        self.monitor()
        self.worker_service = self.worker(kind="export")
        self.client = CollectClient(url=self.url, api_key=self.token)

    def new_form(self, fields: Mapping[str, FieldType] = FIELDS, *, org_id: str = ORG) -> str:
        form_id = f"f{ULID()}".lower()
        named = tuple(FormField(name=name, type=kind) for name, kind in fields.items())
        forms.ensure(self.db, Form(org_id=org_id, form_id=form_id, title=form_id, version=1, fields=named))
        return form_id

    def answer(
        self, form_id: str, documents: Iterable[Mapping[str, Any]], *, org_id: str = ORG
    ) -> list[dict[str, Any]]:
        """Store responses. What they do not say: a key of their own, and a moment, one second after the other."""
        stored = []
        for n, document in enumerate(documents):
            response_id = document.get("_id") or f"{form_id}-{n:07d}"
            moment = {"submitted_at": T0 + timedelta(seconds=n)}
            own = {"_id": response_id, "response_id": response_id, "org_id": org_id, "form_id": form_id}
            stored.append({**moment, **document, **own})
        if stored:
            self.db["responses"].insert_many(stored)
        return sorted(stored, key=lambda document: (document["submitted_at"], document["_id"]))

    def start(self, form_id: str, **params: Any) -> str:
        return self.client.jobs.create("export", {"form_id": form_id, **params}, reason="a test").id

    def rests(self, job_id: str, *, seconds: float = SECONDS) -> Job:
        return self.client.jobs.wait(job_id, "rest", timeout_seconds=seconds)

    def run(self, form_id: str, **params: Any) -> bytes:
        """The result of an export that succeeds; it is what its manifest says."""
        job = self.rests(self.start(form_id, **params))
        assert job.state.value == "succeeded", job.status
        return self.result(job.id)

    def result(self, job_id: str) -> bytes:
        answer = requests.get(f"{self.url}/v1/jobs/{job_id}/result", headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        manifest = self.manifest(job_id)
        assert len(answer.content) == manifest["bytes"]
        assert hashlib.sha256(answer.content).hexdigest() == manifest["sha256"]
        return answer.content

    def part(self, job_id: str, part: Mapping[str, Any]) -> bytes:
        """One part of the result; it is what the manifest says of it."""
        url = f"{self.url}/v1/jobs/{job_id}/result?part={part['n']}"
        answer = requests.get(url, headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (part["bytes"], part["sha256"])
        return answer.content

    def result_range(self, job_id: str, start: int, end: int) -> bytes:
        """The bytes of the result from ``start`` to before ``end``."""
        headers = {**self.headers, "Range": f"bytes={start}-{end - 1}"}
        answer = requests.get(f"{self.url}/v1/jobs/{job_id}/result", headers=headers, timeout=60)
        assert answer.status_code == 206, answer.text
        return answer.content

    def manifest(self, job_id: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/v1/jobs/{job_id}/manifest", headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def sound(self) -> None:
        findings = list(check(self.db))
        assert findings == [], findings


def csv_rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def json_rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def table(data: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))


def unpacked(data: bytes) -> bytes:
    return gzip.decompress(data)


def first_member(data: bytes) -> bytes:
    """What a reader sees that stops after one gzip member."""
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["response_id"] for row in rows]
