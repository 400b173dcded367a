"""Makes the answers of the API from jobs, parts, files and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from collect.api import data as api_data
from collect.api import jobs as api
from collect.api.answers import Actor
from collect.jobs.model import Action, Counts, Job, Part
from collect.jobs.progress import progress
from collect.jobs.states import FINAL, State
from collect.jobs.status_text import status_sentence
from collect.storage import ledger, locks, parts, results, workers
from collect.storage.api_keys import Key
from collect.storage.database import Database
from collect.storage.files import InputFile
from collect.storage.rejects import revision_of

_LINKS = ("audit", "parts", "rejects", "corrections", "unprocessed", "conflicts")
_LINKS_OF = {"export": ("result", "manifest")}


def job(db: Database, one: Job, *, now: datetime) -> api.Job:
    """Return the answer for one job."""
    return jobs(db, [one], now=now)[0]


def jobs(db: Database, several: Sequence[Job], *, now: datetime) -> list[api.Job]:
    """Return the answers for jobs, with their progress and the jobs that they wait for."""
    counts = parts.counted(db, job_ids=[one.id for one in several])
    holders = locks.holders(db, {one.lock for one in several if one.lock and one.state is State.QUEUED})
    running = any(one.state is State.RUNNING for one in several)
    rates = workers.rates(db) if running else {}
    return [
        of_values(
            one,
            counts[one.id],
            now=now,
            waiting_for=_other(holders.get(one.lock or ""), one),
            rate=rates.get(one.id) if one.state is State.RUNNING else None,
            blank_rows=counts[one.id].blank_rows,
        )
        for one in several
    ]


def of_values(
    one: Job,
    counts: Counts,
    *,
    now: datetime,
    waiting_for: str | None,
    rate: float | None = None,
    blank_rows: int = 0,
) -> api.Job:
    """Return the answer for a job whose counts, rate and holder are known. Reads nothing."""
    seen = progress(one, counts, now, rows_per_second=rate, blank_rows=blank_rows)
    link, links = f"/v1/jobs/{one.id}", (*_LINKS, *_LINKS_OF.get(one.kind, ()))
    return api.Job(
        id=one.id,
        org_id=one.org_id,
        kind=one.kind,
        params=one.params,
        state=one.state,
        status=status_sentence(one, seen, waiting_for=waiting_for),
        reason=api.Reason(**one.reason.model_dump()) if one.reason else None,
        priority=one.priority,
        parent_id=one.parent_id,
        waiting_for=waiting_for,
        created_at=one.created_at,
        created_by=Actor(**one.created_by.model_dump()),
        started_at=one.started_at,
        ended_at=one.ended_at,
        start_at=one.start_at,
        until=one.until if one.state is State.PAUSED else None,
        time_limit_seconds=one.time_limit_seconds,
        max_rows_per_second=one.max_rows_per_second,
        max_rejected=api.MaxRejected(**one.max_rejected.model_dump(exclude_none=True)) if one.max_rejected else None,
        file=api.JobFile(**one.file.model_dump(exclude={"blob"})) if one.file else None,
        progress=api.Progress(**asdict(seen)),
        allowed_verbs=list(one.allowed_verbs(now)),
        last_action=action(one.last_action) if one.last_action else None,
        conflicts=one.conflicts,
        undo_until=one.undo_until,
        links={"self": link, **{name: f"{link}/{name}" for name in links}},
    )


def action(last: Action) -> api.Action:
    """Return the answer for a job's last verb. Its slots are free when no session that it cut holds one."""
    return api.Action(
        verb=last.verb,
        actor=Actor(**last.actor.model_dump()),
        reason=last.reason,
        requested_at=last.requested_at,
        effective_at=last.effective_at,
        latency_ms=last.latency_ms,
        slots_free_at=None if last.holding else last.slots_free_at,
    )


def part(one: Part) -> api.Part:
    """Return the answer for a part. A part of corrected rows counts these rows, which the job has counted already."""
    done, total = one.counts.done, one.total
    if one.correction is not None:
        done, total = one.cursor["row"] - one.source["first_row"], one.correction.rows
    return api.Part(
        n=one.n,
        phase=one.phase,
        status=one.status,
        worker=one.owner,
        epoch=one.epoch,
        cursor=one.cursor,
        done=done,
        total=total,
        corrects=one.correction is not None,
        lease_until=one.lease_until,
    )


def reject(stored: Mapping[str, Any], one: Job) -> api.Reject:
    """Return the answer for a rejected row. A correction that was stopped with its job is not under way any more."""
    names = ("row", "field", "code", "message", "line", "errors")
    under_way = stored.get("correction") is not None and one.state not in FINAL
    return api.Reject(**{name: stored[name] for name in names}, revision=revision_of(stored), correcting=under_way)


def file(one: InputFile) -> api_data.File:
    """Return the answer for a file."""
    return api_data.File(
        id=one.id,
        name=one.name,
        bytes=one.bytes,
        sha256=one.sha256,
        created_at=one.created_at,
        expires_at=one.expires_at,
    )


def manifest(one: Job, *, now: datetime) -> api.Manifest:
    """Return the manifest of an export's result, without the names of its objects."""
    result = one.result or {}
    names = ("format", "rows", "bytes", "sha256", "complete", "made_at", "expires_at")
    return api.Manifest(
        job_id=one.id,
        **{name: result[name] for name in names},
        expired=results.is_expired(result, now),
        parts=[api.ResultPart(n=p["n"], rows=p["rows"], bytes=p["bytes"], sha256=p["sha256"]) for p in result["parts"]],
        misfits=result.get("misfits", {}),
        **{name: dict(result.get("noted", {}).get(name, ())) for name in ledger.NOTED},
    )


def key(one: Key) -> api_data.Key:
    """Return the answer for an API key, without its secret."""
    return api_data.Key(**one.model_dump())


def _other(holder: str | None, one: Job) -> str | None:
    return None if holder == one.id or one.state is not State.QUEUED else holder
