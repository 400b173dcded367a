"""Jobs: making them, watching them, controlling them, reading what they left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from collect.client.downloads import download
from collect.client.errors import WaitedInVain
from collect.client.files import OnBytes, read, save
from collect.client.models import (
    AuditEntry,
    Conflict,
    CorrectedRow,
    CorrectionPreview,
    Job,
    Manifest,
    Part,
    Preview,
    Reject,
    RejectsSummary,
    StoredRejects,
    UndoPreview,
)
from collect.client.pages import Page, every, page
from collect.client.transport import Transport

LONG_POLL_SECONDS = 20.0
Params = Mapping[str, Any]
ValueMap = Mapping[str, Mapping[str, Any]]
"""Column → bad value → good value: a text, a number, true, false or ``None`` (an empty cell)."""


class JobsApi:
    """``client.jobs``. Each verb answers with the job as it is then, and the verb is in effect."""

    def __init__(self, *, transport: Transport, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._monotonic = monotonic

    def create(
        self,
        kind: str,
        params: Params,
        *,
        reason: str | None = None,
        priority: str | None = None,
        confirm: str | None = None,
        start_at: datetime | None = None,
        time_limit_seconds: float | None = None,
        max_rows_per_second: float | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Start a job; it is durably recorded when this returns. ``params`` are those of the kind (see the API)."""
        body = _given(
            kind=kind,
            params=dict(params),
            reason=reason,
            priority=priority,
            confirm=confirm,
            start_at=start_at.isoformat() if start_at else None,
            time_limit_seconds=time_limit_seconds,
            max_rows_per_second=max_rows_per_second,
        )
        return _job(self._transport.create("/v1/jobs", body=body, idempotency_key=idempotency_key))

    def preview(self, kind: str, params: Params, *, confirm: str | None = None) -> Preview:
        """What such a job would do. Whatever would be refused is refused alike."""
        query = {"validate_only": "true"}
        wanted = _given(kind=kind, params=dict(params), confirm=confirm)
        body, _ = self._transport.json("POST", "/v1/jobs", params=query, body=wanted)
        return Preview.model_validate(body)

    def get(self, job_id: str) -> Job:
        """The job as it is."""
        return _job(self._transport.json("GET", f"/v1/jobs/{job_id}"))

    def list(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        created_by: str | None = None,
        q: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        most: int | None = None,
    ) -> Iterator[Job]:
        """Jobs, newest first; all of them, or the first ``most``."""
        bounds = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
        filters = {"state": state, "kind": kind, "created_by": created_by, "q": q, **bounds}
        return every(self._transport, "/v1/jobs", Job, filters, most=most)

    def page(self, *, limit: int = 50, cursor: str | None = None, **filters: str) -> Page[Job]:
        """One page of the list."""
        return page(self._transport, "/v1/jobs", Job, {**filters, "limit": limit, "cursor": cursor})

    def wait(self, job_id: str, until: str = "final", *, timeout_seconds: float = 3600.0) -> Job:
        """The job as soon as it is ``until``: ``final``, ``rest``, or a state. Outlives a restart of the gateway.

        ``final`` answers at ``failed`` and ``undo_failed`` too: nothing more happens there unless somebody acts.

        Raises:
            WaitedInVain: it is not there after ``timeout_seconds``; at once if it has ended in another state.
        """
        deadline = self._monotonic() + timeout_seconds
        while True:
            job = self.look(job_id, until, seconds=max(0.0, min(LONG_POLL_SECONDS, deadline - self._monotonic())))
            if is_at(job, until):
                return job
            if job.ended:
                raise WaitedInVain(f"Job {job_id} is {job.state.value}, not {until}, and has ended.")
            if self._monotonic() >= deadline:
                raise WaitedInVain(f"Job {job_id} is {job.state.value}, not {until}, after {timeout_seconds:g} s.")

    def look(self, job_id: str, until: str, *, seconds: float) -> Job:
        """The job as soon as it is ``until`` (see :meth:`wait`), or as it is after ``seconds``."""
        query = {"wait_for": until, "timeout_seconds": round(seconds, 3)}
        answer = self._transport.json("GET", f"/v1/jobs/{job_id}", params=query, wait_seconds=seconds)
        self._transport.heed(answer[1], most=seconds)
        return _job(answer)

    def patch(self, job_id: str, **changes: Any) -> Job:
        """Change ``priority``, ``max_rows_per_second`` or ``max_rejected``; in effect within a chunk."""
        return _job(self._transport.json("PATCH", f"/v1/jobs/{job_id}", body=changes))

    def pause(self, job_id: str, *, reason: str, until: datetime | None = None, if_match: str | None = None) -> Job:
        """Nothing more is written, and no slot is held, until it is resumed."""
        return self._verb(job_id, "pause", reason, if_match, until=until.isoformat() if until else None)

    def resume(
        self, job_id: str, *, reason: str, max_rejected: Params | None = None, if_match: str | None = None
    ) -> Job:
        """Go on from where it was."""
        return self._verb(job_id, "resume", reason, if_match, max_rejected=max_rejected)

    def stop(self, job_id: str, *, reason: str, if_match: str | None = None) -> Job:
        """End it, and keep what was written."""
        return self._verb(job_id, "stop", reason, if_match)

    def confirm(self, job_id: str, *, reason: str, if_match: str | None = None) -> Job:
        """Let a job that waits for confirmation run."""
        return self._verb(job_id, "confirm", reason, if_match)

    def terminate(self, job_id: str, *, reason: str, wait_seconds: float = 0.0, if_match: str | None = None) -> Job:
        """End it, and take back what was written; ``wait_seconds``: answer when it rests, if that is before then."""
        return self._verb(job_id, "terminate", reason, if_match, wait_seconds=wait_seconds)

    def undo(self, job_id: str, *, reason: str, wait_seconds: float = 0.0, if_match: str | None = None) -> Job:
        """Take back what a job at rest has written."""
        return self._verb(job_id, "undo", reason, if_match, wait_seconds=wait_seconds)

    def will_undo(self, job_id: str, verb: str = "undo") -> UndoPreview:
        """What ``terminate`` or ``undo`` would take back now."""
        query = {"validate_only": "true"}
        body = {"reason": f"Preview of {verb}"}
        answer, _ = self._transport.json("POST", f"/v1/jobs/{job_id}/{verb}", params=query, body=body)
        return UndoPreview.model_validate(answer)

    def restart(
        self,
        job_id: str,
        *,
        reason: str,
        file_id: str | None = None,
        params: Params | None = None,
        idempotency_key: str | None = None,
        **others: Any,
    ) -> Job:
        """A new job with the same params, or with those given merged over them.

        ``others``: ``priority``, ``confirm``, ``time_limit_seconds``, ``max_rows_per_second``. What is left out is as
        the job had it last.
        """
        body = _given(reason=reason, file_id=file_id, params=dict(params) if params else None, **others)
        return _job(self._transport.create(f"/v1/jobs/{job_id}/restart", body=body, idempotency_key=idempotency_key))

    def will_restart(
        self, job_id: str, *, reason: str, file_id: str | None = None, params: Params | None = None, **others: Any
    ) -> Preview:
        """What :meth:`restart` would do; it warns of rows of the job that are still there."""
        query = {"validate_only": "true"}
        asked = _given(reason=reason, file_id=file_id, params=dict(params) if params else None, **others)
        body, _ = self._transport.json("POST", f"/v1/jobs/{job_id}/restart", params=query, body=asked)
        return Preview.model_validate(body)

    def correct(
        self,
        job_id: str,
        *,
        rows: Sequence[Params] | None = None,
        path: Path | None = None,
        value_map: ValueMap | None = None,
        change_keys: bool = False,
        reason: str | None = None,
        idempotency_key: str | None = None,
        **read_so: Any,
    ) -> Job:
        """Have rows that were rejected run once more, mended, in the same job.

        ``rows``: ``{"row": 17, "values": {"manager_phone": "…"}}`` with the columns that change. ``path``: the CSV of
        :meth:`save_rejects`, mended. ``value_map``: ``{"district": {"Puna": "Pune"}}`` for all rejects; alone or with
        one of the two. ``change_keys``: rows may get another key though theirs was not what was wrong. ``read_so``: how
        the CSV is read (``encoding``, ``delimiter``, ``has_header``, ``skip_lines``, ``trim``, ``decimal``,
        ``date_formats``, ``blank``); of these ``trim``, ``decimal`` and ``date_formats`` go with ``rows`` too.
        """
        asked = _Correction(
            rows=rows, path=path, value_map=value_map, change_keys=change_keys, reason=reason, read_so=read_so
        )
        return _job(asked.send(self._transport, job_id, idempotency_key=idempotency_key))

    def will_correct(
        self,
        job_id: str,
        *,
        rows: Sequence[Params] | None = None,
        path: Path | None = None,
        value_map: ValueMap | None = None,
        **read_so: Any,
    ) -> CorrectionPreview:
        """What :meth:`correct` would do. Whatever would be refused is refused alike, but for keys that change."""
        asked = _Correction(rows=rows, path=path, value_map=value_map, read_so=read_so)
        body, _ = asked.send(self._transport, job_id, query={"validate_only": "true"})
        return CorrectionPreview.model_validate(body)

    def audit(self, job_id: str) -> Iterator[AuditEntry]:
        """Every move, in order."""
        return every(self._transport, f"/v1/jobs/{job_id}/audit", AuditEntry)

    def parts(self, job_id: str) -> Iterator[Part]:
        """The ranges that the job is run in."""
        return every(self._transport, f"/v1/jobs/{job_id}/parts", Part)

    def rejects(self, job_id: str, *, most: int | None = None) -> Iterator[Reject]:
        """Rows that were not written, by number."""
        return every(self._transport, f"/v1/jobs/{job_id}/rejects", Reject, most=most)

    def rejects_stored(self, job_id: str) -> StoredRejects:
        """How many rows were rejected, and how many of them are stored."""
        body, _ = self._transport.json("GET", f"/v1/jobs/{job_id}/rejects", params={"limit": 1})
        return StoredRejects.model_validate(body)

    def rejects_summary(self, job_id: str) -> RejectsSummary:
        """What is wrong with the rejected rows by column and code, with the distinct values."""
        body, _ = self._transport.json("GET", f"/v1/jobs/{job_id}/rejects", params={"summary": "true"})
        return RejectsSummary.model_validate(body)

    def corrections(self, job_id: str, *, row: int | None = None) -> Iterator[CorrectedRow]:
        """Every revision that was rejected and has been mended since, by row; or those of one row."""
        return every(self._transport, f"/v1/jobs/{job_id}/corrections", CorrectedRow, {"row": row})

    def conflicts(self, job_id: str) -> Iterator[Conflict]:
        """What undo left alone."""
        return every(self._transport, f"/v1/jobs/{job_id}/conflicts", Conflict)

    def manifest(self, job_id: str) -> Manifest:
        """What is in an export's result; it stays when the result is kept no longer."""
        body, _ = self._transport.json("GET", f"/v1/jobs/{job_id}/manifest")
        return Manifest.model_validate(body)

    def download(self, job_id: str, path: Path, *, part: int | None = None, on_bytes: OnBytes | None = None) -> int:
        """Fetch an export's result, or one part of it, and check it; returns its bytes.

        ``path`` appears when all of it is there. What broke off stays beside it as ``.part``, and is taken up again.

        Raises:
            Damaged: it is not what the gateway says it is.
        """
        params = None if part is None else {"part": part}
        return download(self._transport, f"/v1/jobs/{job_id}/result", path, params=params, on_bytes=on_bytes)

    def save_rejects(self, job_id: str, path: Path) -> int:
        """The rejects as a CSV that can be mended and sent again; returns its bytes."""
        return save(self._transport, f"/v1/jobs/{job_id}/rejects", {"format": "csv"}, path)

    def save_rejects_summary(self, job_id: str, path: Path) -> int:
        """The distinct bad values as a CSV whose column ``replacement`` is to be filled in; returns its bytes."""
        return save(self._transport, f"/v1/jobs/{job_id}/rejects", {"format": "csv", "summary": "true"}, path)

    def save_unprocessed(self, job_id: str, path: Path) -> int:
        """The rows that a job at rest never reached, as a CSV; returns its bytes."""
        return save(self._transport, f"/v1/jobs/{job_id}/unprocessed", {"format": "csv"}, path)

    def _verb(
        self, job_id: str, verb: str, reason: str, if_match: str | None, *, wait_seconds: float = 0.0, **options: Any
    ) -> Job:
        return _job(
            self._transport.json(
                "POST",
                f"/v1/jobs/{job_id}/{verb}",
                params={"wait_seconds": wait_seconds} if wait_seconds else None,
                body=_given(reason=reason, **options),
                headers={"If-Match": if_match} if if_match else None,
                wait_seconds=wait_seconds,
            )
        )


@dataclass(frozen=True, kw_only=True)
class _Correction:
    """What is asked for: the rows of a file or of a list, a map of values, or a map and one of both."""

    rows: Sequence[Params] | None
    path: Path | None
    value_map: ValueMap | None
    read_so: Params
    change_keys: bool = False
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.rows is None) and (self.path is not None or self.value_map is None):
            raise ValueError("what is corrected stands in value_map and rows, or in the file at path")

    def send(
        self, transport: Transport, job_id: str, *, query: Params | None = None, idempotency_key: str | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """Send it, as JSON or with its file."""
        where = f"/v1/jobs/{job_id}/corrections"
        keys = True if self.change_keys else None
        asked = _given(reason=self.reason, value_map=self.value_map, change_keys=keys, **self.read_so)
        if self.path is not None:
            fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asked.items()}
            return transport.form(
                where, params=query, fields=fields, name=self.path.name, content=read(self.path),
                idempotency_key=idempotency_key,
            )  # fmt: skip
        body = {**asked, **_given(rows=None if self.rows is None else [dict(row) for row in self.rows])}
        return transport.create(where, params=query, body=body, idempotency_key=idempotency_key)


def _job(answer: tuple[Any, Mapping[str, str]]) -> Job:
    body, headers = answer
    return Job.model_validate({**body, "etag": headers.get("ETag")})


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def is_at(job: Job, until: str) -> bool:
    """Whether the job is ``until``: ``final``, ``rest``, or a state."""
    match until:
        case "final":
            return job.ended
        case "rest":
            return job.rests
        case _:
            return job.state.value == until
