"""Results of exports: made of what the ledger names, kept with the job, read as one, gone when their time is over.

All blobs of a job are called ``results/<job id>/…``. What no committed chunk and no result names is an orphan.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ulid import ULID

from collect.errors import CollectError, Conflict, NotFound, ResultDamaged, Transient
from collect.exporting import gzips
from collect.exporting.gzips import Joined, Reading
from collect.jobs.model import Job
from collect.jobs.outcomes import StoredObject
from collect.jobs.states import State
from collect.storage import ledger, organisations
from collect.storage import object_store as blob_store
from collect.storage.database import Database, now
from collect.storage.object_store import Blobs

PREFIX = "results/"
HEADER = "header"
KIND = "export"
NOT_JOINED = "parquet"
"""The one format whose objects are no whole when they are joined: its whole is written by the worker at the end."""
PACKED = "csv.gz"
"""The one format whose whole is one gzip member, made of the objects' insides."""
STEP_SECONDS = 0.2
PIECE_BYTES = 8 * 1024 * 1024
"""So much is read at once for the checksums."""
MAKING_SECONDS = 30.0
"""Who makes a stopped export's result, and has not said so for this long, does not make it any more."""
SAYING_SECONDS = MAKING_SECONDS / 3
DAMAGED_SECONDS = 120.0
"""For so long nobody reads it all again for the same: longer than a client goes on asking."""
PENDING = "result_pending"
LEAST_DAYS = timedelta(days=1)
"""No organisation keeps results for less."""


def prefix_of(job_id: str) -> str:
    """How the names of all of the job's blobs begin."""
    return f"{PREFIX}{job_id}/"


def header_name(job_id: str) -> str:
    """The blob that stands before the first row, if the format has something there; made by the plan."""
    return prefix_of(job_id) + HEADER


@dataclass(kw_only=True)
class _PartSum:
    n: int
    rows: int = 0
    bytes: int = 0
    sha256: str | None = None
    digest: Any = field(default_factory=hashlib.sha256)
    packed: Joined = field(default_factory=Joined)

    def shown(self, *, packed: bool) -> dict[str, Any]:
        """The part as the result has it. ``packed``: it is one gzip member, whose end ``tail`` has."""
        this = {"n": self.n, "rows": self.rows}
        if packed:
            size = self.packed.packed_bytes + gzips.TAIL_BYTES
            return {**this, "bytes": size, "sha256": self.packed.sha256(), "tail": self.packed.tail()}
        return {**this, "bytes": self.bytes, "sha256": self.sha256}


def assemble(db: Database, blobs: Blobs, job: Job, *, complete: bool) -> Iterator[dict[str, Any] | None]:
    """What a job has written, as its result. Reads every byte once, for the checksums; in flat memory.

    Yields ``None`` at least every 250 ms, as far as the store lets it, and at last the result. A parquet file is not
    made from its parts here, and nothing is read: each object is a file, and a part of the result, whose checksum the
    ledger has; it has no objects and no checksum itself.

    Raises:
        ResultDamaged: an object is not as it was written.
    """
    whole, parts, objects = hashlib.sha256(), list[_PartSum](), list[dict[str, Any]]()
    packed = Joined(possible=job.params["format"] == PACKED)
    joined = is_joined(job)
    beat = _Beat()
    header = _header(blobs, job) if joined else None
    if header is not None:
        objects.append({"name": header_name(job.id), "bytes": len(header)})
        whole.update(header)
        Reading(len(header), [packed] if packed.possible else []).add(header)
    for n, stored in ledger.objects(db, org_id=job.org_id, job_id=job.id):
        _begin(parts, n, joined=joined)
        reading = Reading(stored.bytes, [packed, parts[-1].packed] if packed.possible else [])
        for piece in _pieces(blobs, stored) if joined else ():
            parts[-1].digest.update(piece)
            whole.update(piece)
            reading.add(piece)
            if beat.due():
                yield None
        parts[-1].sha256 = parts[-1].digest.hexdigest() if joined else stored.sha256
        parts[-1].rows += stored.rows
        parts[-1].bytes += stored.bytes
        objects.append({"name": stored.name, "bytes": stored.bytes})
    if header is None and job.params["format"].startswith("csv") and (complete or objects):
        raise ResultDamaged(f"{header_name(job.id)} is missing from the store.")
    one = packed.possible and bool(objects)
    sha256 = packed.sha256() if one else whole.hexdigest()
    pieces = _of_one_member(objects, packed.tail()) if one else objects
    made = _made(db, job, parts, pieces if joined else [], complete=complete, packed=one)
    yield {**made, "sha256": sha256 if joined else None}


def _of_one_member(objects: Iterable[Mapping[str, Any]], tail: bytes) -> list[dict[str, Any]]:
    """The pieces of one gzip member, made of the bodies of members; ``size`` is that of the whole object."""
    head, around = len(gzips.MARKED_HEAD), len(gzips.MARKED_HEAD) + gzips.TAIL_BYTES
    bodies = (
        {"name": one["name"], "start": head, "bytes": one["bytes"] - around, "size": one["bytes"]} for one in objects
    )
    return [{"data": gzips.HEAD, "bytes": len(gzips.HEAD)}, *bodies, {"data": tail, "bytes": len(tail)}]


def _begin(parts: list[_PartSum], n: int, *, joined: bool) -> None:
    """Count on in part ``n``. Of files that cannot be joined each is a part of its own, numbered from 1."""
    if not joined:
        parts.append(_PartSum(n=len(parts) + 1))
    elif not parts or parts[-1].n != n:
        parts.append(_PartSum(n=n))


class _Beat:
    """Says when it is time to let others have a look."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def due(self) -> bool:
        at = time.monotonic()
        if at - self._last < STEP_SECONDS:
            return False
        self._last = at
        return True


def _header(blobs: Blobs, job: Job) -> bytes | None:
    try:
        header = blobs.read(header_name(job.id), 0, blobs.size(header_name(job.id)))
    except NotFound:
        return None
    return header or None


def read_object(blobs: Blobs, stored: StoredObject) -> bytes:
    """All of what a chunk has written.

    Raises:
        ResultDamaged: it is not as it was written.
    """
    return b"".join(_pieces(blobs, stored))


def _pieces(blobs: Blobs, stored: StoredObject) -> Iterator[bytes]:
    came, digest = 0, hashlib.sha256()
    try:
        while piece := blobs.read(stored.name, came, PIECE_BYTES):
            came += len(piece)
            digest.update(piece)
            yield piece
    except NotFound as error:
        raise ResultDamaged(f"{stored.name} is missing from the store.") from error
    if came != stored.bytes or digest.hexdigest() != stored.sha256:
        raise ResultDamaged(f"{stored.name} is not as it was written: {came:,} bytes, of {stored.bytes:,}.")


def _made(
    db: Database,
    job: Job,
    parts: list[_PartSum],
    objects: list[dict[str, Any]],
    *,
    complete: bool,
    packed: bool = False,
) -> dict[str, Any]:
    at = now()
    days = organisations.get(db, org_id=job.org_id).limits.retention_days
    total = sum(found["bytes"] for found in objects) if objects else sum(part.bytes for part in parts)
    return {
        "format": job.params["format"],
        "rows": sum(part.rows for part in parts),
        "bytes": total,
        "sha256": None,
        "complete": complete,
        "objects": objects,
        "parts": [part.shown(packed=packed) for part in parts],
        "misfits": ledger.misfits(db, org_id=job.org_id, job_id=job.id),
        "noted": ledger.noted_of_job(db, org_id=job.org_id, job_id=job.id),
        "made_at": at,
        "expires_at": at + timedelta(days=days),
        "expired_at": None,
    }


def read(blobs: Blobs, objects: Iterable[Mapping[str, Any]], start: int, end: int) -> Iterator[bytes]:
    """The bytes from ``start`` to before ``end`` of the objects joined, in pieces and in flat memory.

    An entry of ``objects`` is an object, its bytes from ``start`` on, or the bytes themselves (``data``).

    Raises:
        NotFound: in the middle of it, when the objects are removed meanwhile.
    """
    begin = 0
    for found in objects:
        size = found["bytes"]
        first, last = max(0, start - begin), min(size, end - begin)
        if first < last and "data" in found:
            yield bytes(found["data"][first:last])
        elif first < last:
            within = found.get("start", 0)
            yield from blob_store.stream(blobs, found["name"], start=within + first, end=within + last)
        begin += size
        if begin >= end:
            return


def objects_of_part(db: Database, job: Job, n: int) -> list[dict[str, Any]]:
    """What makes up part ``n`` of the result, in order; nothing when it has no such part."""
    joined = is_joined(job)
    stored = ledger.objects(db, org_id=job.org_id, job_id=job.id, part=n if joined else None)
    found = [{"name": one.name, "bytes": one.bytes} for _, one in stored]
    tails = [part["tail"] for part in (job.result or {}).get("parts", ()) if part["n"] == n and "tail" in part]
    if found and tails:
        return _of_one_member(found, tails[0])
    return found if joined else found[n - 1 : n]


def is_joined(job: Job) -> bool:
    return job.params.get("format") != NOT_JOINED


def is_unmade(job: Job) -> bool:
    """Whether a result can be made of what the job has written, and nobody has done so."""
    return job.result is None and job.kind == KIND and job.state is State.STOPPED


def keep_stopped(db: Database, blobs: Blobs, job: Job) -> Job:
    """The job with its result, which is made at the first call for a stopped one: what is there, ``complete: false``.

    Blocks while all of it is read. Of several callers at once one does that.

    Raises:
        Conflict: ``no_result``: it has none and is not stopped, or is not any more.
        Transient: ``result_pending``: another is making it. What that one has failed with, for a while.
    """
    if is_unmade(job):
        mine = _claim(db, job)
        return made_by_now(db, job) if mine is None else _make(db, blobs, job, mine)
    return _with_result(job)


def made_by_now(db: Database, job: Job) -> Job:
    """The job as it has become, with its result; nothing is made. Raises what :func:`keep_stopped` does."""
    document = db.jobs.find_one({"_id": job.id}) or {}
    job, making = Job.model_validate(document), document.get("making", {})
    if not is_unmade(job):
        return _with_result(job)
    if making.get("failed") and making["until"] > now():
        raise Transient(making["failed"]["message"], code=making["failed"]["code"])
    raise pending()


def pending() -> CollectError:
    """What those are told who ask for a result that is being made."""
    return Transient("The result is being made from what the export has written. Ask again.", code=PENDING)


def _with_result(job: Job) -> Job:
    if job.result is None or job.kind != KIND:
        raise Conflict(_no_result(job), code="no_result")
    return job


def _claim(db: Database, job: Job) -> Mapping[str, Any] | None:
    """What finds the job for as long as its result is to be made, and by nobody else; ``None``: another makes it."""
    free = {**_unmade(job), "$expr": {"$lt": ["$making.until", "$$NOW"]}}
    owner = str(ULID())
    claim = {"until": _in(MAKING_SECONDS), "failed": None, "owner": owner}
    claimed = db.jobs.update_one(free, [{"$set": {"making": claim}}]).matched_count
    return {**_unmade(job), "making.owner": owner} if claimed else None


def _in(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def _make(db: Database, blobs: Blobs, job: Job, mine: Mapping[str, Any]) -> Job:
    """The job with what there is of it, made by whoever has the claim; if that is lost, as it has become meanwhile."""
    result: dict[str, Any] = {}
    said = time.monotonic()
    try:
        for step in assemble(db, blobs, job, complete=False):
            result = step or result
            if time.monotonic() - said >= SAYING_SECONDS:
                if not _say(db, mine, {"until": _in(MAKING_SECONDS)}):
                    break
                said = time.monotonic()
        else:
            _keep(db, job, result)
    except CollectError as error:  # whoever asked may have gone, and who asks next is not to wait for the same again
        failed = {"failed": {"$literal": {"code": error.code, "message": error.detail}}}
        until = {"until": _in(DAMAGED_SECONDS)} if isinstance(error, ResultDamaged) else {}
        if _say(db, mine, {**failed, **until}):
            raise
    return made_by_now(db, job)


def _say(db: Database, mine: Mapping[str, Any], words: Mapping[str, Any]) -> bool:
    """Whether it is still ours to make."""
    said = {f"making.{name}": word for name, word in words.items()}
    return bool(db.jobs.update_one(mine, [{"$set": said}]).matched_count)


def _unmade(job: Job) -> dict[str, Any]:
    """The job, if it is in the same state still and has no result."""
    return {"_id": job.id, "state": job.state.value, "result": None}


def _no_result(job: Job) -> str:
    if job.kind != KIND:
        return f"A job of kind {job.kind} has no result; an export has one."
    return f"An export that is {job.state.value} has no result; one that has succeeded or was stopped has."


def _keep(db: Database, job: Job, result: dict[str, Any]) -> Job:
    """Compare-and-set: only for a job that is as it was, and has none."""
    db.jobs.update_one(_unmade(job), {"$set": {"result": result}, "$unset": {"making": ""}, "$inc": {"v": 1}})
    return Job.model_validate(db.jobs.find_one({"_id": job.id}))


def with_digest(db: Database, *, org_id: str, sha256: str) -> list[tuple[bool, str]]:
    """Return exports of the organisation whose joined result is a CSV of exactly these bytes.

    At most one whose texts are guarded (``formula_safe``) and one whose texts are not: which of the two, and its id.
    """
    of = {"result.sha256": sha256, "org_id": org_id, "kind": KIND, "params.format": {"$in": ["csv", PACKED]}}
    found = []
    for guarded in (True, False):
        asked: Any = {"$ne": False} if guarded else False
        document = db.jobs.find_one({**of, "params.formula_safe": asked}, {"_id": 1})
        if document is not None:
            found.append((guarded, str(document["_id"])))
    return found


def is_expired(result: Mapping[str, Any], at: datetime) -> bool:
    """Whether the bytes are not to be had any more."""
    until: datetime | None = result.get("expires_at")
    return result.get("expired_at") is not None or (until is not None and until <= at)


def expired(db: Database, at: datetime) -> Iterator[Job]:
    """Jobs whose result's time is over by ``at`` and has not been removed.

    Of a stopped job whose result nobody has asked for, and of one that has failed, the time is counted from then; it
    gets a result without checksums, since what it had written is not read any more.
    """
    for document in db.jobs.find({"result.expires_at": {"$lte": at}, "result.expired_at": None}):
        yield Job.model_validate(document)
    states = [State.STOPPED.value, State.FAILED.value]
    unasked = {"kind": KIND, "state": {"$in": states}, "result": None, "ended_at": {"$lte": at - LEAST_DAYS}}
    for document in db.jobs.find(unasked):
        job = Job.model_validate(document)
        days = organisations.get(db, org_id=job.org_id).limits.retention_days
        if job.ended_at is not None and job.ended_at + timedelta(days=days) <= at:
            kept = _keep(db, job, {**_unread(db, job), "expires_at": job.ended_at + timedelta(days=days)})
            if kept.result is not None and is_expired(kept.result, at):
                yield kept


def _unread(db: Database, job: Job) -> dict[str, Any]:
    parts: list[_PartSum] = []
    for n, stored in ledger.objects(db, org_id=job.org_id, job_id=job.id):
        _begin(parts, n, joined=is_joined(job))
        parts[-1].rows += stored.rows
        parts[-1].bytes += stored.bytes
    return _made(db, job, parts, [], complete=False)


def expire(db: Database, blobs: Blobs, job: Job, *, at: datetime) -> bool:
    """Remove what the job has written, then say so in its result, which stays as a manifest. Idempotent.

    ``False``: another has done it, or the job has been taken back meanwhile.
    """
    blobs.delete_prefix(prefix_of(job.id))
    unsaid = {"_id": job.id, "result.expires_at": {"$lte": at}, "result.expired_at": None}
    return bool(db.jobs.update_one(unsaid, {"$set": {"result.expired_at": at}, "$inc": {"v": 1}}).modified_count)
