"""What answers look like, for the API's description: the fuzz tests hold every answer to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from collect.jobs.model import Actor, MaxRejected, PartStatus, Phase, Reason
from collect.jobs.states import State, Verb
from collect.storage.api_keys import Role
from collect.storage.organisations import Limits
from gateway.schemas.data import DatasetShown, FormShown, RowShown, TeamShown
from gateway.schemas.previews import FileShown, HolderShown, PreviewShown
from gateway.schemas.rejects import CorrectionPreviewShown, CorrectionShown, PageOf, RejectsShown
from gateway.schemas.requests import PriorityName

JSON = "application/json"
BYTES = "application/octet-stream"
CSV = "text/csv"
PLAIN = "text/plain"


class Health(BaseModel):
    """`GET /healthz`."""

    status: str


class Readiness(BaseModel):
    """`GET /readyz`: who answers."""

    status: str
    mongodb: bool
    rabbitmq: bool
    redis: bool


class JobFile(BaseModel):
    """The file that a job reads."""

    id: str
    name: str
    bytes: int
    sha256: str


class ProgressShown(BaseModel):
    """Rows by outcome; ``total`` is null while planning. ``blank_rows``: lines of the file that are no row."""

    total: int | None
    done: int
    succeeded: int
    rejected: int
    undone: int
    blank_rows: int
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
    """A job, as it is.

    ``links``: what else there is to know of it; ``result`` and ``manifest`` only of an export, since other kinds make
    no file. They answer 409 as long as the export has made nothing that could be had.
    """

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
    """A range of a job that one worker runs alone. ``corrects``: its rows are rejects that were corrected."""

    n: int
    phase: Phase
    status: PartStatus
    worker: str | None
    epoch: int
    cursor: dict[str, Any]
    done: int
    total: int
    corrects: bool
    lease_until: datetime | None


class ConflictShown(BaseModel):
    """What taking back left alone, and why."""

    id: str
    row: int | None
    why: str


class ResultPart(BaseModel):
    """What one part has written; ``sha256`` is null when nobody asked for it before it was removed."""

    n: int
    rows: int
    bytes: int
    sha256: str | None


class ManifestShown(BaseModel):
    """What an export has written. Not ``complete``: it was stopped. ``expired``: the bytes are not there any more.

    ``sha256`` is null when there is no joined result. By field it counts: ``misfits``, values that are not of its type;
    ``fields_left_out``, responses with a value of a field that the form has no more; ``choices_left_out``, answers
    with a choice that has no column; ``texts_like_null``, texts that are equal to what is written for a missing value.
    """

    job_id: str
    format: str
    rows: int
    bytes: int
    sha256: str | None
    complete: bool
    expired: bool
    parts: list[ResultPart]
    misfits: dict[str, int]
    fields_left_out: dict[str, int]
    choices_left_out: dict[str, int]
    texts_like_null: dict[str, int]
    made_at: datetime
    expires_at: datetime


class UndoPreviewShown(BaseModel):
    """What taking back would do. ``conflict`` is there when another job holds the dataset: until then it is refused."""

    will_delete: int
    will_restore: int
    conflicts: int
    seconds: float
    conflict: HolderShown | None = None


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
    ("get", "/v1/files/{file_id}/content"): {200: {BYTES: None}, 206: {BYTES: None}, 304: {}},
    ("post", "/v1/jobs"): {202: {JSON: JobShown}, 200: {JSON: PreviewShown}},
    ("get", "/v1/jobs"): {200: {JSON: PageOf[JobShown]}},
    ("get", "/v1/jobs/{job_id}"): {200: {JSON: JobShown}},
    ("patch", "/v1/jobs/{job_id}"): {200: {JSON: JobShown}},
    **{("post", f"/v1/jobs/{{job_id}}/{verb}"): {202: {JSON: JobShown}} for verb in VERBS},
    **{
        ("post", f"/v1/jobs/{{job_id}}/{verb}"): {202: {JSON: JobShown}, 200: {JSON: UndoPreviewShown}}
        for verb in ("terminate", "undo")
    },
    ("post", "/v1/jobs/{job_id}/restart"): {202: {JSON: JobShown}, 200: {JSON: PreviewShown}},
    ("get", "/v1/jobs/{job_id}/audit"): {200: {JSON: PageOf[AuditShown]}},
    ("get", "/v1/jobs/{job_id}/parts"): {200: {JSON: PageOf[PartShown]}},
    ("get", "/v1/jobs/{job_id}/rejects"): {200: {JSON: RejectsShown, CSV: None}},
    ("post", "/v1/jobs/{job_id}/corrections"): {202: {JSON: JobShown}, 200: {JSON: CorrectionPreviewShown}},
    ("get", "/v1/jobs/{job_id}/corrections"): {200: {JSON: PageOf[CorrectionShown]}},
    ("get", "/v1/jobs/{job_id}/unprocessed"): {200: {CSV: None}},
    ("get", "/v1/jobs/{job_id}/conflicts"): {200: {JSON: PageOf[ConflictShown]}},
    ("get", "/v1/jobs/{job_id}/result"): {200: {BYTES: None}, 206: {BYTES: None}, 304: {}},
    ("get", "/v1/jobs/{job_id}/manifest"): {200: {JSON: ManifestShown}},
    ("get", "/v1/datasets/{name}"): {200: {JSON: DatasetShown}},
    ("put", "/v1/datasets/{name}"): {200: {JSON: DatasetShown}, 201: {JSON: DatasetShown}},
    ("get", "/v1/datasets/{name}/rows"): {200: {JSON: PageOf[RowShown]}},
    ("get", "/v1/teams"): {200: {JSON: PageOf[TeamShown]}},
    ("get", "/v1/teams/{name}"): {200: {JSON: TeamShown}},
    ("get", "/v1/forms"): {200: {JSON: PageOf[FormShown]}},
    ("get", "/v1/keys"): {200: {JSON: PageOf[KeyShown]}},
    ("post", "/v1/keys"): {201: {JSON: NewKeyShown}},
    ("delete", "/v1/keys/{key_id}"): {200: {JSON: KeyShown}},
    ("get", "/v1/organisation"): {200: {JSON: OrganisationShown}},
    ("patch", "/v1/organisation"): {200: {JSON: OrganisationShown}},
    ("get", "/v1/workers"): {200: {JSON: PageOf[WorkerShown]}},
    ("get", "/v1/queues"): {200: {JSON: PageOf[QueueShown]}},
}
"""Each call's answers when it is not refused: status, content type, shape."""
