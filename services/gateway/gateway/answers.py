"""What answers look like, for the API's description: the fuzz tests hold every answer to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from collect.jobs.model import Actor, MaxRejected, PartStatus, Phase, Reason
from collect.jobs.states import State, Verb
from collect.jobs.template import Column
from collect.storage.keys import Role
from collect.storage.organisations import Limits
from gateway.models import PriorityName

JSON = "application/json"
BYTES = "application/octet-stream"
CSV = "text/csv"
PLAIN = "text/plain"

T = TypeVar("T")


class PageOf(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None


class Health(BaseModel):
    """`GET /healthz`."""

    status: str


class Readiness(BaseModel):
    """`GET /readyz`: who answers."""

    status: str
    mongodb: bool
    rabbitmq: bool
    redis: bool


class FileShown(BaseModel):
    """A file's metadata."""

    id: str
    name: str
    bytes: int
    sha256: str
    created_at: datetime
    expires_at: datetime


class JobFile(BaseModel):
    """The file that a job reads."""

    id: str
    name: str
    bytes: int
    sha256: str


class ProgressShown(BaseModel):
    """Rows by outcome; ``total`` is null while planning."""

    total: int | None
    done: int
    succeeded: int
    rejected: int
    undone: int
    percent: float
    rows_per_second: float
    seconds_left: float | None
    at: datetime


class ActionShown(BaseModel):
    """The last verb, and when it was in effect."""

    verb: Verb
    actor: Actor
    reason: str
    requested_at: datetime
    effective_at: datetime | None
    latency_ms: int | None
    slots_free_at: datetime | None


class JobShown(BaseModel):
    """A job, as it is."""

    id: str
    org_id: str
    kind: str
    params: dict[str, Any]
    state: State
    status: str
    reason: Reason | None
    priority: PriorityName
    parent_id: str | None
    waiting_for: str | None
    created_at: datetime
    created_by: Actor
    started_at: datetime | None
    ended_at: datetime | None
    start_at: datetime | None
    until: datetime | None
    time_limit_seconds: float | None
    max_rows_per_second: float | None
    max_rejected: MaxRejected | None
    file: JobFile | None
    progress: ProgressShown
    allowed_verbs: list[Verb]
    last_action: ActionShown | None
    conflicts: int
    undo_until: datetime | None
    links: dict[str, str]


class AuditShown(BaseModel):
    """One move of a job."""

    seq: int
    at: datetime
    actor: Actor
    verb: str
    reason: str
    source: State | None = Field(alias="from")
    target: State = Field(alias="to")
    requested_at: datetime | None
    effective_at: datetime | None
    latency_ms: int | None
    request_id: str | None


class PartShown(BaseModel):
    """A range of a job that one worker runs alone."""

    n: int
    phase: Phase
    status: PartStatus
    worker: str | None
    epoch: int
    cursor: dict[str, Any]
    done: int
    total: int
    lease_until: datetime | None


class RejectShown(BaseModel):
    """A row that was not written, and why."""

    row: int
    field: str
    code: str
    message: str
    line: str


class RejectsPage(PageOf[RejectShown]):
    """``rejected`` rows are counted, ``stored`` of them can be listed."""

    rejected: int
    stored: int


class ConflictShown(BaseModel):
    """What taking back left alone, and why."""

    id: str
    row: int | None
    why: str


class UndoPreviewShown(BaseModel):
    """What taking back would do."""

    will_delete: int
    will_restore: int
    conflicts: int
    seconds: float


class FieldErrorShown(BaseModel):
    """What is wrong, and where."""

    field: str
    code: str
    message: str


class WarningShown(BaseModel):
    """What looks wrong; ``suggestion`` is to be merged into ``params``."""

    code: str
    message: str
    columns: list[str] = []
    evidence: Any = None
    suggestion: dict[str, Any] | None = None


class HolderShown(BaseModel):
    """The job that holds the dataset."""

    holder: str


class ColumnSeen(BaseModel):
    """A column of a file."""

    header: str
    mapped_to: str | None
    type_seen: str | None
    samples: list[Any]


class SampledReject(FieldErrorShown):
    """A row that would be rejected."""

    row: int
    line: str


class SampledRejects(BaseModel):
    """Rejects in a sample of the whole file; ``estimate`` of them in all of it."""

    sampled_rows: int
    rejected_rows: int
    estimate: int
    items: list[SampledReject]


class PreviewShown(BaseModel):
    """What a job would do."""

    ok: bool
    total_rows: int | None
    seconds: float | None
    warnings: list[WarningShown]
    errors: list[FieldErrorShown]
    conflict: HolderShown | None
    delimiter: str | None
    encoding: str | None
    has_header: bool | None
    columns: list[ColumnSeen]
    first_rows: list[dict[str, Any]]
    rejects: SampledRejects
    file: FileShown


class DatasetShown(BaseModel):
    """A template, who holds the dataset, and how many rows it has."""

    name: str
    key: list[str]
    columns: list[Column]
    locked_by: str | None
    row_count: int


class RowShown(BaseModel):
    """A row, and the ledger entry that first touched it."""

    id: str = Field(alias="_id")
    org_id: str
    dataset: str
    values: dict[str, Any]
    row: int
    written_by: str
    revision: int


class KeyShown(BaseModel):
    """A key, without its secret."""

    id: str
    org_id: str | None
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyShown(KeyShown):
    """A key that has just been made; its secret is shown this once."""

    key: str | None


class OrganisationShown(BaseModel):
    """The organisation that the key acts for."""

    id: str
    name: str
    limits: Limits


class SlotShown(BaseModel):
    """A slot of a worker."""

    busy: bool
    job_id: str | None
    part: int | None
    rows_per_second: float
    rss_bytes: int
    cpu_seconds: float


class WorkerShown(BaseModel):
    """A worker that has been heard of lately."""

    id: str
    kind: str
    version: str
    at: datetime
    slots: list[SlotShown]


class QueueShown(BaseModel):
    """How many of the organisation's parts wait, and how many run."""

    kind: str
    queue: str
    waiting: int
    running: int


Shape = type[BaseModel] | None
"""A JSON body's model, or none for what is no JSON."""

VERBS = ("pause", "resume", "stop", "confirm", "terminate", "undo", "restart")

ANSWERS: dict[tuple[str, str], dict[int, dict[str, Shape]]] = {
    ("get", "/healthz"): {200: {JSON: Health}},
    ("get", "/readyz"): {200: {JSON: Readiness}, 503: {JSON: Readiness}},
    ("get", "/metrics"): {200: {PLAIN: None}},
    ("post", "/v1/files"): {201: {JSON: FileShown}},
    ("get", "/v1/files/{file_id}"): {200: {JSON: FileShown}},
    ("get", "/v1/files/{file_id}/content"): {200: {BYTES: None}, 206: {BYTES: None}},
    ("post", "/v1/jobs"): {202: {JSON: JobShown}, 200: {JSON: PreviewShown}},
    ("get", "/v1/jobs"): {200: {JSON: PageOf[JobShown]}},
    ("get", "/v1/jobs/{job_id}"): {200: {JSON: JobShown}},
    ("patch", "/v1/jobs/{job_id}"): {200: {JSON: JobShown}},
    **{("post", f"/v1/jobs/{{job_id}}/{verb}"): {202: {JSON: JobShown}} for verb in VERBS},
    **{
        ("post", f"/v1/jobs/{{job_id}}/{verb}"): {202: {JSON: JobShown}, 200: {JSON: UndoPreviewShown}}
        for verb in ("terminate", "undo")
    },
    ("get", "/v1/jobs/{job_id}/audit"): {200: {JSON: PageOf[AuditShown]}},
    ("get", "/v1/jobs/{job_id}/parts"): {200: {JSON: PageOf[PartShown]}},
    ("get", "/v1/jobs/{job_id}/rejects"): {200: {JSON: RejectsPage, CSV: None}},
    ("get", "/v1/jobs/{job_id}/unprocessed"): {200: {CSV: None}},
    ("get", "/v1/jobs/{job_id}/conflicts"): {200: {JSON: PageOf[ConflictShown]}},
    ("get", "/v1/datasets/{name}"): {200: {JSON: DatasetShown}},
    ("put", "/v1/datasets/{name}"): {200: {JSON: DatasetShown}, 201: {JSON: DatasetShown}},
    ("get", "/v1/datasets/{name}/rows"): {200: {JSON: PageOf[RowShown]}},
    ("get", "/v1/keys"): {200: {JSON: PageOf[KeyShown]}},
    ("post", "/v1/keys"): {201: {JSON: NewKeyShown}},
    ("delete", "/v1/keys/{key_id}"): {200: {JSON: KeyShown}},
    ("get", "/v1/organisation"): {200: {JSON: OrganisationShown}},
    ("patch", "/v1/organisation"): {200: {JSON: OrganisationShown}},
    ("get", "/v1/workers"): {200: {JSON: PageOf[WorkerShown]}},
    ("get", "/v1/queues"): {200: {JSON: PageOf[QueueShown]}},
}
"""Each call's answers when it is not refused: status, content type, shape."""
