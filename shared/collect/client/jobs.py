"""The calls on jobs: create, wait, control, correct, and read what a job has left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, overload

from collect.api.jobs import (
    AuditEntry,
    Conflict,
    CorrectedRow,
    CorrectionPreview,
    Job,
    Manifest,
    Part,
    Reject,
    RejectsPage,
    RejectsSummary,
    UndoPreview,
)
from collect.api.previews import AnyPreview, ExportPreview, TeamsPreview, UploadPreview, preview
from collect.client.downloads import download
from collect.client.errors import WaitedInVain
from collect.client.files import OnBytes, read, save
from collect.client.pages import Page, every, page
from collect.client.transport import Transport

LONG_POLL_SECONDS = 20.0
Params = Mapping[str, Any]
ValueMap = Mapping[str, Mapping[str, Any]]
"""A map column → bad value → good value. A good value is a text, a number, true, false or ``None`` (an empty cell)."""


class JobsApi:
    """The calls on jobs (``client.jobs``). When a verb returns, it is in effect; it returns the changed job."""

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
        """Create a job, and return it; it is then stored durably. ``params``: those of the kind (see the API)."""
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

    @overload
    def preview(self, kind: Literal["upload"], params: Params, *, confirm: str | None = ...) -> UploadPreview: ...
    @overload
    def preview(self, kind: Literal["teams"], params: Params, *, confirm: str | None = ...) -> TeamsPreview: ...
    @overload
    def preview(self, kind: Literal["export"], params: Params, *, confirm: str | None = ...) -> ExportPreview: ...
    @overload
    def preview(self, kind: str, params: Params, *, confirm: str | None = ...) -> AnyPreview: ...

    def preview(self, kind: str, params: Params, *, confirm: str | None = None) -> AnyPreview:
        """Return what such a job would do. Raises the same errors as :meth:`create`."""
        query = {"validate_only": "true"}
        asked = _given(kind=kind, params=dict(params), confirm=confirm)
        body, _ = self._transport.json("POST", "/v1/jobs", params=query, body=asked)
        return preview(body)

    def get(self, job_id: str) -> Job:
        """Return the job in its present state."""
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
        """Yield jobs, newest first: all, or the first ``most``."""
        bounds = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
        filters = {"state": state, "kind": kind, "created_by": created_by, "q": q, **bounds}
        return every(self._transport, "/v1/jobs", Job, filters, most=most)

    def page(self, *, limit: int = 50, cursor: str | None = None, **filters: str) -> Page[Job]:
        """Return one page of the list of jobs."""
        return page(self._transport, "/v1/jobs", Job, {**filters, "limit": limit, "cursor": cursor})

    def wait(self, job_id: str, until: str = "final", *, timeout_seconds: float = 3600.0) -> Job:
        """Block until the job is at ``until`` (``final``, ``rest``, or a state), and return it.

        Goes on waiting after a restart of the gateway. ``final`` includes ``failed`` and ``undo_failed``, since nothing
        more happens there without a verb.

        Raises:
            WaitedInVain: the job is not there after ``timeout_seconds``, or has ended in another state (at once).
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
        """Return the job when it is at ``until`` (see :meth:`wait`), or after ``seconds`` in its present state."""
        query = {"wait_for": until, "timeout_seconds": round(seconds, 3)}
        answer = self._transport.json("GET", f"/v1/jobs/{job_id}", params=query, wait_seconds=seconds)
        self._transport.heed(answer[1], most=seconds)
        return _job(answer)

    def patch(self, job_id: str, **changes: Any) -> Job:
        """Change ``priority``, ``max_rows_per_second`` or ``max_rejected``. It takes effect with the next chunk."""
        return _job(self._transport.json("PATCH", f"/v1/jobs/{job_id}", body=changes))

    def pause(self, job_id: str, *, reason: str, until: datetime | None = None, if_match: str | None = None) -> Job:
        """Pause the job: it writes nothing and holds no slot until it is resumed. ``until``: resume it then."""
        return self._verb(job_id, "pause", reason, if_match, until=until.isoformat() if until else None)

    def resume(
        self, job_id: str, *, reason: str, max_rejected: Params | None = None, if_match: str | None = None
    ) -> Job:
        """Resume a paused job where it stopped."""
        return self._verb(job_id, "resume", reason, if_match, max_rejected=max_rejected)

    def stop(self, job_id: str, *, reason: str, if_match: str | None = None) -> Job:
        """End the job, and keep what it has written."""
        return self._verb(job_id, "stop", reason, if_match)

    def confirm(self, job_id: str, *, reason: str, if_match: str | None = None) -> Job:
        """Confirm a job that waits for confirmation, so that it starts."""
        return self._verb(job_id, "confirm", reason, if_match)

    def terminate(self, job_id: str, *, reason: str, wait_seconds: float = 0.0, if_match: str | None = None) -> Job:
        """End the job, and take back what it has written. ``wait_seconds``: wait at most so long until it rests."""
        return self._verb(job_id, "terminate", reason, if_match, wait_seconds=wait_seconds)

    def undo(self, job_id: str, *, reason: str, wait_seconds: float = 0.0, if_match: str | None = None) -> Job:
        """Take back what a job at rest has written. ``wait_seconds``: wait at most so long until that is done."""
        return self._verb(job_id, "undo", reason, if_match, wait_seconds=wait_seconds)

    def will_undo(self, job_id: str, verb: str = "undo") -> UndoPreview:
        """Return what ``terminate`` or ``undo`` would take back now."""
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
        """Create a new job with the params of this one, and with ``params`` merged over them; return it.

        ``others``: ``priority``, ``confirm``, ``time_limit_seconds``, ``max_rows_per_second``. Each that is left out is
        taken from the first job, with its last value.
        """
        body = _given(reason=reason, file_id=file_id, params=dict(params) if params else None, **others)
        return _job(self._transport.create(f"/v1/jobs/{job_id}/restart", body=body, idempotency_key=idempotency_key))

    def will_restart(
        self, job_id: str, *, reason: str, file_id: str | None = None, params: Params | None = None, **others: Any
    ) -> AnyPreview:
        """Return what :meth:`restart` would do. It warns of rows of the first job that are still stored."""
        query = {"validate_only": "true"}
        asked = _given(reason=reason, file_id=file_id, params=dict(params) if params else None, **others)
        body, _ = self._transport.json("POST", f"/v1/jobs/{job_id}/restart", params=query, body=asked)
        return preview(body)

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
        """Correct rejected rows and run them once more in the same job; return the job.

        ``rows``: ``{"row": 17, "values": {"manager_phone": "…"}}`` with the columns that change. ``path``: the CSV of
        :meth:`save_rejects`, corrected. ``value_map``: ``{"district": {"Puna": "Pune"}}`` for all rejects; alone, or
        with either of the two. ``change_keys``: allow another key for rows whose key was not wrong. ``read_so``: how
        the CSV is read (``encoding``, ``delimiter``, ``has_header``, ``skip_lines``, ``trim``, ``decimal``,
        ``date_formats``, ``blank``); ``trim``, ``decimal`` and ``date_formats`` are allowed with ``rows`` too.
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
        """Return what :meth:`correct` would do. Raises the same errors, but not the one for keys that change."""
        asked = _Correction(rows=rows, path=path, value_map=value_map, read_so=read_so)
        body, _ = asked.send(self._transport, job_id, query={"validate_only": "true"})
        return CorrectionPreview.model_validate(body)

    def audit(self, job_id: str) -> Iterator[AuditEntry]:
        """Yield the audit entries of the job, in order: one for each change of its state."""
        return every(self._transport, f"/v1/jobs/{job_id}/audit", AuditEntry)

    def parts(self, job_id: str) -> Iterator[Part]:
        """Yield the parts of the job: the ranges in which it is run."""
        return every(self._transport, f"/v1/jobs/{job_id}/parts", Part)

    def rejects(self, job_id: str, *, most: int | None = None) -> Iterator[Reject]:
        """Yield the rejected rows by row number: all, or the first ``most``."""
        return every(self._transport, f"/v1/jobs/{job_id}/rejects", Reject, most=most)

    def rejects_stored(self, job_id: str) -> RejectsPage:
        """Return how many rows were rejected, and how many of these are stored."""
        body, _ = self._transport.json("GET", f"/v1/jobs/{job_id}/rejects", params={"limit": 1})
        return RejectsPage.model_validate(body)

    def rejects_summary(self, job_id: str) -> RejectsSummary:
        """Return the errors of the rejected rows by column and code, with the distinct wrong values."""
        body, _ = self._transport.json("GET", f"/v1/jobs/{job_id}/rejects", params={"summary": "true"})
        return RejectsSummary.model_validate(body)

    def corrections(self, job_id: str, *, row: int | None = None) -> Iterator[CorrectedRow]:
        """Yield every revision of a row that was rejected and then corrected, by row; or only those of ``row``."""
        return every(self._transport, f"/v1/jobs/{job_id}/corrections", CorrectedRow, {"row": row})

    def conflicts(self, job_id: str) -> Iterator[Conflict]:
        """Yield the documents that undo did not take back, since they had changed."""
        return every(self._transport, f"/v1/jobs/{job_id}/conflicts", Conflict)

    def manifest(self, job_id: str) -> Manifest:
        """Return the manifest of an export's result. It is kept after the result itself has been deleted."""
        body, _ = self._transport.json("GET", f"/v1/jobs/{job_id}/manifest")
        return Manifest.model_validate(body)

    def download(self, job_id: str, path: Path, *, part: int | None = None, on_bytes: OnBytes | None = None) -> int:
        """Download an export's result, or one part of it, check its checksum, and return its size in bytes.

        ``path`` is created only when the download is complete. A download that breaks off leaves a file with ``.part``
        added to its name, and the next call continues it.

        Raises:
            Damaged: the checksum is wrong.
        """
        params = None if part is None else {"part": part}
        return download(self._transport, f"/v1/jobs/{job_id}/result", path, params=params, on_bytes=on_bytes)

    def save_rejects(self, job_id: str, path: Path) -> int:
        """Save the rejects as a CSV, to be corrected and sent again with :meth:`correct`; return its size in bytes."""
        return save(self._transport, f"/v1/jobs/{job_id}/rejects", {"format": "csv"}, path)

    def save_rejects_summary(self, job_id: str, path: Path) -> int:
        """Save the distinct wrong values as a CSV with an empty column ``replacement``; return its size in bytes."""
        return save(self._transport, f"/v1/jobs/{job_id}/rejects", {"format": "csv", "summary": "true"}, path)

    def save_unprocessed(self, job_id: str, path: Path) -> int:
        """Save the rows that a job at rest never reached as a CSV; return its size in bytes."""
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
    """The request of a correction: rows from a list or a file, a map of values, or the map with one of the two."""

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
        """Send the correction, as JSON or as a form with its file; return the decoded answer and its headers."""
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
    """Return whether the job is at ``until``: ``final``, ``rest``, or a state."""
    match until:
        case "final":
            return job.ended
        case "rest":
            return job.rests
        case _:
            return job.state.value == until
