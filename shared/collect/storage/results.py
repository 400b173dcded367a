"""The results of exports: how a result is made from the blobs in the ledger, stored, read, and expired.

The result is a field of the job's document. It lists the blobs that make up the file. The names of a job's blobs begin
with ``results/<job id>/``. A blob that neither a committed chunk nor a result names is an orphan.
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
"""The only format whose objects cannot be joined to one file. The worker writes the whole file at the end."""
PACKED = "csv.gz"
"""The only format whose result is one gzip member. It is made from the bodies of the objects' gzip members."""
STEP_SECONDS = 0.2
"""Shortest time between two pauses of :func:`assemble`, in seconds."""
PIECE_BYTES = 8 * 1024 * 1024
"""Most bytes read at once to compute the checksums."""
MAKING_SECONDS = 30.0
"""How long a claim to make a stopped export's result is valid without a renewal, in seconds."""
SAYING_SECONDS = MAKING_SECONDS / 3
"""How often the owner of that claim renews it, in seconds."""
DAMAGED_SECONDS = 120.0
"""How long a damaged result is not assembled again, in seconds. It is longer than a client keeps asking."""
PENDING = "result_pending"
LEAST_DAYS = timedelta(days=1)
"""Shortest time for which an organisation can keep results."""


def prefix_of(job_id: str) -> str:
    """Return the prefix that the names of all blobs of the job have."""
    return f"{PREFIX}{job_id}/"


def header_name(job_id: str) -> str:
    """Return the name of the blob with the file's header. The plan writes it, if the format has a header."""
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
        """Return the part as an entry of the result. ``packed``: it is one gzip member, and ``tail`` is its end."""
        this = {"n": self.n, "rows": self.rows}
        if packed:
            size = self.packed.packed_bytes + gzips.TAIL_BYTES
            return {**this, "bytes": size, "sha256": self.packed.sha256(), "tail": self.packed.tail()}
        return {**this, "bytes": self.bytes, "sha256": self.sha256}


def assemble(db: Database, blobs: Blobs, job: Job, *, complete: bool) -> Iterator[dict[str, Any] | None]:
    """Yield ``None`` while the result is made from what the job has written, and the result as the last item.

    ``None`` comes at least every 250 ms, unless one read from the store takes longer. Every byte is read once, for the
    checksums, in flat memory. Parquet is different: nothing is read, because the objects cannot be joined. There each
    object is a file and a part of the result, with its checksum from the ledger, and the result itself has no objects
    and no checksum.

    Raises:
        ResultDamaged: an object is missing, or its bytes are not those that were written.
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
    """Return the pieces of one gzip member, made from the bodies of the objects' members.

    ``bytes`` is the length of the body, ``size`` the length of the whole object.
    """
    head, around = len(gzips.MARKED_HEAD), len(gzips.MARKED_HEAD) + gzips.TAIL_BYTES
    bodies = (
        {"name": one["name"], "start": head, "bytes": one["bytes"] - around, "size": one["bytes"]} for one in objects
    )
    return [{"data": gzips.HEAD, "bytes": len(gzips.HEAD)}, *bodies, {"data": tail, "bytes": len(tail)}]


def _begin(parts: list[_PartSum], n: int, *, joined: bool) -> None:
    """Append a part to ``parts`` if the next object begins one.

    When objects can be joined, a part begins when ``n`` changes. When not, each object is a part, numbered from 1.
    """
    if not joined:
        parts.append(_PartSum(n=len(parts) + 1))
    elif not parts or parts[-1].n != n:
        parts.append(_PartSum(n=n))


class _Beat:
    """A timer that is due every :data:`STEP_SECONDS`."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def due(self) -> bool:
        at = time.monotonic()
        if at - self._last < STEP_SECONDS:
            return False
        self._last = at
        return True


def _header(blobs: Blobs, job: Job) -> bytes | None:
    """Return the bytes of the file's header, or ``None`` if there is no such blob or it is empty."""
    try:
        header = blobs.read(header_name(job.id), 0, blobs.size(header_name(job.id)))
    except NotFound:
        return None
    return header or None


def read_object(blobs: Blobs, stored: StoredObject) -> bytes:
    """Return all bytes of an object that a chunk has written.

    Raises:
        ResultDamaged: the object is missing, or its bytes are not those that were written.
    """
    return b"".join(_pieces(blobs, stored))


def _pieces(blobs: Blobs, stored: StoredObject) -> Iterator[bytes]:
    """Yield the object's bytes in pieces. After the last piece, raise ``ResultDamaged`` if they are not as written."""
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
    """Yield the bytes from ``start`` to before ``end`` of the joined objects, in pieces and in flat memory.

    An entry of ``objects`` names a blob, or a blob of which the bytes before its ``start`` are skipped, or holds the
    bytes themselves (``data``).

    Raises:
        NotFound: an object was removed. This can happen after some pieces were yielded.
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
    """Return the objects of part ``n`` of the result, in order. The list is empty if there is no such part."""
    joined = is_joined(job)
    stored = ledger.objects(db, org_id=job.org_id, job_id=job.id, part=n if joined else None)
    found = [{"name": one.name, "bytes": one.bytes} for _, one in stored]
    tails = [part["tail"] for part in (job.result or {}).get("parts", ()) if part["n"] == n and "tail" in part]
    if found and tails:
        return _of_one_member(found, tails[0])
    return found if joined else found[n - 1 : n]


def is_joined(job: Job) -> bool:
    """Return whether the objects of the job's format can be joined to one file."""
    return job.params.get("format") != NOT_JOINED


def is_unmade(job: Job) -> bool:
    """Return whether the job is a stopped export that has no result yet. Then a result can be made."""
    return job.result is None and job.kind == KIND and job.state is State.STOPPED


def keep_stopped(db: Database, blobs: Blobs, job: Job) -> Job:
    """Return the job with its result. The first call for a stopped export makes the result, with ``complete: false``.

    Making it blocks while all bytes are read. If several callers ask at the same time, one of them makes it.

    Raises:
        Conflict: ``no_result``: the job has no result and is not stopped (any more).
        Transient: ``result_pending``: another caller is making it. If that caller has failed, its error code, for a
            while.
    """
    if is_unmade(job):
        mine = _claim(db, job)
        return made_by_now(db, job) if mine is None else _make(db, blobs, job, mine)
    return _with_result(job)


def made_by_now(db: Database, job: Job) -> Job:
    """Read the job again and return it with its result. Makes no result. Raises the same as :func:`keep_stopped`."""
    document = db.jobs.find_one({"_id": job.id}) or {}
    job, making = Job.model_validate(document), document.get("making", {})
    if not is_unmade(job):
        return _with_result(job)
    if making.get("failed") and making["until"] > now():
        raise Transient(making["failed"]["message"], code=making["failed"]["code"])
    raise pending()


def pending() -> CollectError:
    """Return the error for a caller that asks for a result while it is being made."""
    return Transient("The result is being made from what the export has written. Ask again.", code=PENDING)


def _with_result(job: Job) -> Job:
    if job.result is None or job.kind != KIND:
        raise Conflict(_no_result(job), code="no_result")
    return job


def _claim(db: Database, job: Job) -> Mapping[str, Any] | None:
    """Claim the making of the job's result. Return ``None`` if another caller has the claim.

    The returned filter matches the job as long as it has no result and this claim is the current one.
    """
    free = {**_unmade(job), "$expr": {"$lt": ["$making.until", "$$NOW"]}}
    owner = str(ULID())
    claim = {"until": _in(MAKING_SECONDS), "failed": None, "owner": owner}
    claimed = db.jobs.update_one(free, [{"$set": {"making": claim}}]).matched_count
    return {**_unmade(job), "making.owner": owner} if claimed else None


def _in(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", round(seconds * 1000)]}


def _make(db: Database, blobs: Blobs, job: Job, mine: Mapping[str, Any]) -> Job:
    """Make and store the job's result; ``mine`` is the filter of the claim. Return the job as it is afterwards.

    If another caller takes the claim over meanwhile, nothing is stored here.
    """
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
    except CollectError as error:  # noted: the next caller gets this error at once, even if this one has gone
        failed = {"failed": {"$literal": {"code": error.code, "message": error.detail}}}
        until = {"until": _in(DAMAGED_SECONDS)} if isinstance(error, ResultDamaged) else {}
        if _say(db, mine, {**failed, **until}):
            raise
    return made_by_now(db, job)


def _say(db: Database, mine: Mapping[str, Any], words: Mapping[str, Any]) -> bool:
    """Write ``words`` into the claim. Return ``False`` if this claim is not the current one any more."""
    said = {f"making.{name}": word for name, word in words.items()}
    return bool(db.jobs.update_one(mine, [{"$set": said}]).matched_count)


def _unmade(job: Job) -> dict[str, Any]:
    """Return the filter that matches the job while it has the same state and no result."""
    return {"_id": job.id, "state": job.state.value, "result": None}


def _no_result(job: Job) -> str:
    if job.kind != KIND:
        return f"A job of kind {job.kind} has no result; an export has one."
    return f"An export that is {job.state.value} has no result; one that has succeeded or was stopped has."


def _keep(db: Database, job: Job, result: dict[str, Any]) -> Job:
    """Store the result by compare-and-set: only if the job has the same state and no result. Return the job."""
    db.jobs.update_one(_unmade(job), {"$set": {"result": result}, "$unset": {"making": ""}, "$inc": {"v": 1}})
    return Job.model_validate(db.jobs.find_one({"_id": job.id}))


def with_digest(db: Database, *, org_id: str, sha256: str) -> list[tuple[bool, str]]:
    """Return exports of the organisation whose joined result is a CSV with exactly this checksum.

    Each is given as (guarded, job id). There is at most one with guarded texts (``formula_safe``) and one without.
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
    """Return whether the result's time is over at ``at``, or its blobs were removed."""
    until: datetime | None = result.get("expires_at")
    return result.get("expired_at") is not None or (until is not None and until <= at)


def expired(db: Database, at: datetime) -> Iterator[Job]:
    """Yield the jobs whose result's time is over by ``at`` and whose blobs were not removed yet.

    A failed job, and a stopped job whose result was never made, have no result that says when it expires: their time
    is counted from the end of the job. Such a job is given a result here (this writes). That result has no checksums,
    because the blobs are not read any more.
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
    """Return a result made only from the ledger, without checksums and objects. Reads no blob."""
    parts: list[_PartSum] = []
    for n, stored in ledger.objects(db, org_id=job.org_id, job_id=job.id):
        _begin(parts, n, joined=is_joined(job))
        parts[-1].rows += stored.rows
        parts[-1].bytes += stored.bytes
    return _made(db, job, parts, [], complete=False)


def expire(db: Database, blobs: Blobs, job: Job, *, at: datetime) -> bool:
    """Remove all blobs of the job, then set ``expired_at`` in its result, which stays as a manifest. Idempotent.

    Return ``False`` if another process has done it, or if the job was terminated or undone meanwhile.
    """
    blobs.delete_prefix(prefix_of(job.id))
    unsaid = {"_id": job.id, "result.expires_at": {"$lte": at}, "result.expired_at": None}
    return bool(db.jobs.update_one(unsaid, {"$set": {"result.expired_at": at}, "$inc": {"v": 1}}).modified_count)
