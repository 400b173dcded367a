"""Documents as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from collect.jobs.model import Action, Counts, Job, Part
from collect.jobs.progress import progress
from collect.jobs.states import FINAL, State
from collect.jobs.status_text import status_sentence
from collect.storage import ledger, locks, parts, results, workers
from collect.storage.api_keys import Key
from collect.storage.database import Database
from collect.storage.files import InputFile
from collect.storage.rejects import revision_of
from gateway.schemas.times import written

_LINKS = ("audit", "parts", "rejects", "corrections", "unprocessed", "conflicts")
_LINKS_OF = {"export": ("result", "manifest")}


def job(db: Database, found: Job, *, now: datetime) -> dict[str, Any]:
    """One job, as it is."""
    return jobs(db, [found], now=now)[0]


def jobs(db: Database, found: Sequence[Job], *, now: datetime) -> list[dict[str, Any]]:
    """Jobs, as they are: with their progress, and whom they wait for."""
    counts = parts.counted(db, job_ids=[one.id for one in found])
    holders = locks.holders(db, {one.lock for one in found if one.lock and one.state is State.QUEUED})
    running = any(one.state is State.RUNNING for one in found)
    rates = workers.rates(db) if running else {}
    return [
        rendered(
            one,
            counts[one.id],
            now=now,
            waiting_for=_other(holders.get(one.lock or ""), one),
            rate=rates.get(one.id) if one.state is State.RUNNING else None,
            blank_rows=counts[one.id].blank_rows,
        )
        for one in found
    ]


def rendered(
    found: Job,
    counts: Counts,
    *,
    now: datetime,
    waiting_for: str | None,
    rate: float | None = None,
    blank_rows: int = 0,
) -> dict[str, Any]:
    """A job's body, from values alone."""
    seen = progress(found, counts, now, rows_per_second=rate, blank_rows=blank_rows)
    link, links = f"/v1/jobs/{found.id}", (*_LINKS, *_LINKS_OF.get(found.kind, ()))
    body = {
        "id": found.id,
        "org_id": found.org_id,
        "kind": found.kind,
        "params": found.params,
        "state": found.state.value,
        "status": status_sentence(found, seen, waiting_for=waiting_for),
        "reason": found.reason.model_dump() if found.reason else None,
        "priority": found.priority,
        "parent_id": found.parent_id,
        "waiting_for": waiting_for,
        "created_at": found.created_at,
        "created_by": found.created_by.model_dump(),
        "started_at": found.started_at,
        "ended_at": found.ended_at,
        "start_at": found.start_at,
        "until": found.until if found.state is State.PAUSED else None,
        "time_limit_seconds": found.time_limit_seconds,
        "max_rows_per_second": found.max_rows_per_second,
        "max_rejected": found.max_rejected.model_dump(exclude_none=True) if found.max_rejected else None,
        "file": found.file.model_dump(exclude={"blob"}) if found.file else None,
        "progress": {
            "total": seen.total,
            "done": seen.done,
            "succeeded": seen.succeeded,
            "rejected": seen.rejected,
            "undone": seen.undone,
            "blank_rows": seen.blank_rows,
            "percent": seen.percent,
            "rows_per_second": seen.rows_per_second,
            "seconds_left": seen.seconds_left,
            "at": seen.at,
        },
        "allowed_verbs": [verb.value for verb in found.allowed_verbs(now)],
        "last_action": action(found.last_action) if found.last_action else None,
        "conflicts": found.conflicts,
        "undo_until": found.undo_until,
        "links": {"self": link, **{name: f"{link}/{name}" for name in links}},
    }
    rendered_body: dict[str, Any] = written(body)
    return rendered_body


def action(last: Action) -> dict[str, Any]:
    """The last verb. Slots are free when nothing that it has cut holds one any more."""
    return {
        "verb": str(last.verb),
        "actor": last.actor.model_dump(),
        "reason": last.reason,
        "requested_at": last.requested_at,
        "effective_at": last.effective_at,
        "latency_ms": last.latency_ms,
        "slots_free_at": None if last.holding else last.slots_free_at,
    }


def part(found: Part) -> dict[str, Any]:
    """A part. One of corrected rows counts them, which add nothing to the job's."""
    done, total = found.counts.done, found.total
    if found.correction is not None:
        done, total = found.cursor["row"] - found.source["first_row"], found.correction.rows
    body: dict[str, Any] = written(
        {
            "n": found.n,
            "phase": found.phase.value,
            "status": found.status.value,
            "worker": found.owner,
            "epoch": found.epoch,
            "cursor": found.cursor,
            "done": done,
            "total": total,
            "corrects": found.correction is not None,
            "lease_until": found.lease_until,
        }
    )
    return body


def reject(found: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """A row that was not written. A correction that was stopped with its job corrects it no more."""
    names = ("row", "field", "code", "message", "line", "errors")
    under_way = found.get("correction") is not None and job.state not in FINAL
    return {**{name: found[name] for name in names}, "revision": revision_of(found), "correcting": under_way}


def file(found: InputFile) -> dict[str, Any]:
    """A file's metadata."""
    body: dict[str, Any] = written(
        {
            "id": found.id,
            "name": found.name,
            "bytes": found.bytes,
            "sha256": found.sha256,
            "created_at": found.created_at,
            "expires_at": found.expires_at,
        }
    )
    return body


def manifest(found: Job, *, now: datetime) -> dict[str, Any]:
    """What an export has written; of its objects nobody needs to know."""
    made = found.result or {}
    body: dict[str, Any] = written(
        {
            "job_id": found.id,
            "format": made["format"],
            "rows": made["rows"],
            "bytes": made["bytes"],
            "sha256": made["sha256"],
            "complete": made["complete"],
            "expired": results.is_expired(made, now),
            "parts": [{name: part[name] for name in ("n", "rows", "bytes", "sha256")} for part in made["parts"]],
            "misfits": made.get("misfits", {}),
            **{what: dict(made.get("noted", {}).get(what, ())) for what in ledger.NOTED},
            "made_at": made["made_at"],
            "expires_at": made["expires_at"],
        }
    )
    return body


def key(found: Key) -> dict[str, Any]:
    """A key, without its secret."""
    body: dict[str, Any] = written(found.model_dump())
    return body


def _other(holder: str | None, found: Job) -> str | None:
    return None if holder == found.id or found.state is not State.QUEUED else holder
