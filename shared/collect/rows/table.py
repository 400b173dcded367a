"""The writer of a file's rows to a collection. :mod:`collect.rows.writing` decides what is done with each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from collect.csv.layout import is_upsert
from collect.jobs.model import Job
from collect.jobs.outcomes import Applied, Reject, TakenBack
from collect.rows import keeping, marks, reread, writing
from collect.rows.batch import Batch
from collect.rows.writing import Decision, Stored
from collect.storage import bulk_insert, jobs
from collect.storage import rejects as reject_store
from collect.storage.database import Again, Database
from collect.storage.object_store import Blobs


class Table:
    """The rows in one collection. Each row is written with the mark of the ledger entry that writes it first."""

    def __init__(self, *, db: Database, blobs: Blobs, name: str) -> None:
        self._db = db
        self._blobs = blobs
        self._rows = db[name]
        self._meets_keys: str | None = None
        """The id of the job whose file has keys that are already stored."""
        self._meets_changes: str | None = None
        """The id of the job whose documents were changed by other jobs since."""
        self._ancestors: tuple[str, frozenset[str]] = ("", frozenset())
        """The id of a job, and the ids of the jobs that it restarts."""
        self._raw_rows: Collection[RawBSONDocument] = db[name].with_options(codec_options=marks.RAW)

    def write(
        self, job: Job, rows: Batch, *, rejects: tuple[Reject, ...], entry_id: str, session: ClientSession
    ) -> tuple[Applied, Decision]:
        """Write a batch. An upsert reads its keys first; an insert does so only after it has met a stored key.

        ``rejects``: the rejects that the chunk has by validation alone.

        Raises:
            Again: a key is already stored, and the keys were not read first. The caller aborts the transaction and
                calls again; the next call reads the keys.
            ChunkTooBig: the rows change too many bytes, or displace too many rows; with fewer rows they would not.
            TaskRefused: a row becomes too large with the columns that are stored already.
        """
        if is_upsert(job.params):
            decide = keeping.decide if rows.keeps else writing.decide_upsert
            decision = decide(rows, self._replaced(rows, session), job_id=job.id)
        else:
            there = self._there(job, rows, session)
            decision = writing.decide_insert(rows, there, job_id=job.id, ancestors=self._ancestors_of(job, there))
        try:
            made = self._put(rows, decision, entry_id=entry_id, session=session)
        except BulkWriteError as error:
            if self._meets_keys == job.id:
                raise
            self._meets_keys = job.id
            raise Again from error
        displaced = self._displaced(job, rows, decision, session)
        rejected = (*rejects, *decision.rejects, *displaced)
        applied = Applied(
            succeeded=made + decision.overwritten - len(displaced),
            rejected=len(rejected),
            created=len(decision.fresh),
            changed=len(decision.changed),
            rejects=rejected,
            undo=writing.undo_record(rows, decision),
        )
        return applied, decision

    def touch(self, rows: Batch, *, job: Job, entry_id: str, session: ClientSession) -> dict[str, Any]:
        """Create the missing documents, put this job's mark on those of other jobs, and return the undo record."""
        decision = writing.decide_touch(rows, self._replaced(rows, session), job_id=job.id)
        self._put(rows, decision, entry_id=entry_id, session=session)
        return writing.undo_record(rows, decision)

    def take_back(
        self, record: Mapping[str, Any], *, entry_id: str, session: ClientSession, kept: frozenset[str] = frozenset()
    ) -> TakenBack:
        """Delete the documents that a ledger entry created and restore those that it changed, except those in ``kept``.

        A document without the entry's mark was changed since: it stays as it is, and is returned as a conflict.

        Raises:
            Again: others have changed a document since, and the marks were not read first. The caller aborts the
                transaction and calls again; the next call reads the marks.
        """
        job_id = entry_id.partition(":")[0]
        ask = self._meets_changes == job_id
        try:
            return marks.take_back(self._raw_rows, record, entry_id=entry_id, session=session, kept=kept, ask=ask)
        except Again:
            self._meets_changes = job_id
            raise

    def _put(self, rows: Batch, decision: Decision, *, entry_id: str, session: ClientSession) -> int:
        if decision.replaced:
            self._rows.delete_many({"_id": {"$in": decision.replaced}}, session=session)
        make = keeping.new_documents if rows.keeps else writing.new_documents
        made = make(rows, decision, entry_id=entry_id)
        bulk_insert.insert(self._rows, made, session=session)
        return made.count

    def _there(self, job: Job, rows: Batch, session: ClientSession) -> dict[str, Stored]:
        """Return ``_id`` → mark of the stored document, for the keys of the batch; nothing until a stored key was met.

        Most files have new keys only, and the server checks each key anyway when it inserts. So the first inserts are
        tried without this read. When one of them meets a stored key, its transaction is aborted and runs again, and
        from then on the keys are read first.
        """
        if self._meets_keys != job.id:
            return {}
        return marks.stored(self._raw_rows, rows.ids, session, marks.MARK)

    def _ancestors_of(self, job: Job, there: Mapping[str, Stored]) -> frozenset[str]:
        """Return the ids of the jobs that this one restarts; none if no key is stored, since none is needed then."""
        if not there or job.parent_id is None:
            return frozenset()
        if self._ancestors[0] != job.id:
            self._ancestors = (job.id, frozenset(one.id for one in jobs.ancestors(self._db, job)))
        return self._ancestors[1]

    def _replaced(self, rows: Batch, session: ClientSession) -> dict[str, Stored]:
        """Return ``_id`` → whole stored document, for the keys of the batch.

        Raises:
            ChunkTooBig: the documents have too many bytes together; those of fewer rows would not.
        """
        found: dict[str, Stored] = {}
        held = 0
        for document in self._raw_rows.find({"_id": {"$in": rows.ids}}, session=session):
            found[document["_id"]] = document
            held += len(document.raw)
            if held > writing.MAX_REPLACED_BYTES and len(rows.ids) > 1:
                raise writing.too_big(rows)
        return found

    def _displaced(self, job: Job, rows: Batch, decision: Decision, session: ClientSession) -> list[Reject]:
        """Return a reject for each row that was written and is now displaced by a row from further up the file.

        The text is read again only for the rejects that will be stored. The others are only counted, without text.
        """
        if not decision.displaced:
            return []
        shown = sorted(decision.displaced)[: reject_store.room(self._db, job_id=job.id, session=session)]
        if len(shown) > reread.MOST_READ_AGAIN and len(rows.ids) > 1:
            raise writing.too_big(rows)
        texts = reread.original(self._db, self._blobs, job_id=job.id, rows=shown, session=session)
        ids = {there["row"]: there["_id"] for _, there in decision.instead}
        self._name_first(job, rows, decision, ids, session)
        return [
            Reject(row=row, line=texts.get(row, ""), errors=(rows.duplicate(ids[row], first),))
            for row, first in decision.displaced.items()
        ]

    def _name_first(
        self, job: Job, rows: Batch, decision: Decision, ids: Mapping[int, str], session: ClientSession
    ) -> None:
        """Correct the messages of stored rejects. They named a displaced row as the first row with their key."""
        renamed = {
            rows.duplicate_message(ids[row], row): rows.duplicate_message(ids[row], first)
            for row, first in decision.displaced.items()
        }
        query = {"job_id": job.id, "code": "duplicate_key", "message": {"$in": list(renamed)}}
        found = self._db.rejects.find(query, {"message": 1}, session=session)
        changes = [
            UpdateOne({"_id": reject["_id"]}, {"$set": {"message": message, "errors.0.message": message}})
            for reject in found
            if (message := renamed[reject["message"]])
        ]
        if changes:
            self._db.rejects.bulk_write(changes, ordered=False, session=session)
