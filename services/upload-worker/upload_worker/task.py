"""A baseline upload: the rows of a CSV into a dataset, by its template. It knows nothing of control."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from collect.csv.reading import Source, cursor, lots
from collect.csv.validation import Validator
from collect.errors import NotFound, TaskRefused
from collect.jobs.model import Job, Part
from collect.jobs.template import Template
from collect.runtime.task import Applied, Chunk, ChunkSize, Conflict, Marked, PlannedPart, Reject, TakenBack
from collect.storage import datasets, joined
from collect.storage.blobs import Blobs
from collect.storage.database import Database
from collect.storage.joined import Documents
from upload_worker import batch, csv_parts, documents, lines, writing
from upload_worker.batch import Batch
from upload_worker.writing import Decision, Stored

_RAW: bson.CodecOptions[RawBSONDocument] = bson.CodecOptions(document_class=RawBSONDocument, tz_aware=True)
_MARK = {"row": 1, "written_by": 1, "revision": 1}


class UploadTask:
    """The upload as the runtime runs it (see :class:`collect.runtime.task.Task`)."""

    kind = "upload"

    def __init__(self, *, db: Database, blobs: Blobs) -> None:
        self._db = db
        self._blobs = blobs
        self._raw_rows = db.rows.with_options(codec_options=_RAW)

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        """The parts of the file, or those behind ``after``."""
        yield from csv_parts.plan(self._blobs, job, template=self._template(job), after=after)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        """The rows of the part, validated and encoded."""
        template = self._template(job)
        layout = csv_parts.arranged(part.source, template)
        validator = Validator(template=template, layout=layout)
        source, empty = Source.of(part.source), documents.empty_bytes(layout.present)

        def most_rows() -> int:
            return max(1, min(size.rows, size.bytes // empty))

        for lot in lots(self._blobs, source, part.cursor, most_rows=most_rows, most_bytes=lambda: size.bytes):
            valid, rejects = validator.validate(lot)
            payload = batch.make(
                valid, lot, org_id=job.org_id, dataset=job.params["dataset"], template=template, upsert=_is_upsert(job)
            )
            yield Chunk(
                cursor=cursor(lot.end, lot.row + lot.rows),
                rows=lot.rows,
                bytes=lot.end - lot.offset,
                payload=payload,
                rejects=rejects,
            )

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        """Write the chunk's rows. One read of their keys tells which are new, which change, and which are twice."""
        rows: Batch = chunk.payload
        if _is_upsert(job):
            decision = writing.decide_upsert(rows, self._replaced(rows, session), job_id=job.id)
        else:
            decision = writing.decide_insert(rows, self._stored(rows.ids, session, _MARK), job_id=job.id)
        if decision.replaced:
            self._db.rows.delete_many({"_id": {"$in": decision.replaced}}, session=session)
        made = writing.new_documents(rows, decision, entry_id=entry_id)
        joined.insert(self._db.rows, made, session=session)
        displaced = self._displaced(job, rows, decision, session)
        rejects = (*chunk.rejects, *decision.rejects, *displaced)
        return Applied(
            succeeded=made.count + decision.overwritten - len(displaced),
            rejected=len(rejects),
            created=len(decision.fresh),
            changed=len(decision.changed),
            rejects=rejects,
            undo=writing.undo_record(rows, decision),
        )

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        """Delete what was made and restore what was changed, as far as the mark still stands."""
        mark = {"written_by": entry_id}
        created = writing.created_ids(record)
        deleted = 0
        if created:
            deleted = self._db.rows.delete_many({"_id": {"$in": created}, **mark}, session=session).deleted_count
        conflicts = self._conflicts(created, session) if deleted < len(created) else []
        before = {image["_id"]: image for image in writing.before_images(record)}
        query = {"_id": {"$in": list(before)}, **mark}
        ours = [found["_id"] for found in self._db.rows.find(query, {"_id": 1}, session=session)] if before else []
        if ours:
            self._db.rows.delete_many({"_id": {"$in": ours}}, session=session)
            joined.insert(self._db.rows, Documents.of(before[id_] for id_ in ours), session=session)
        others = {id_: before[id_] for id_ in before.keys() - set(ours)}
        conflicts.extend(_changed_since(others, self._stored(others, session), entry_id))
        return TakenBack(deleted=deleted, restored=len(ours), conflicts=tuple(conflicts))

    def still_marked(self, job: Job, record: dict[str, Any], *, entry_id: str) -> Marked:
        """What an undo would do now."""
        created = self._stored(writing.created_ids(record), None, _MARK).values()
        before = {image["_id"]: image for image in writing.before_images(record)}
        now = self._stored(before, None)
        deletable = sum(document["written_by"] == entry_id for document in created)
        return Marked(
            will_delete=deletable,
            will_restore=sum(document["written_by"] == entry_id for document in now.values()),
            conflicts=len(created) - deletable + len(_changed_since(before, now, entry_id)),
        )

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        """Nothing is left to do."""
        yield None

    def _template(self, job: Job) -> Template:
        try:
            return datasets.get(self._db, org_id=job.org_id, name=job.params["dataset"])
        except NotFound as error:
            raise TaskRefused(error.detail, code="unknown_dataset") from error

    def _stored(
        self, ids: Iterable[str], session: ClientSession | None, fields: Mapping[str, int] | None = None
    ) -> dict[str, Stored]:
        wanted = list(ids)
        found = self._raw_rows.find({"_id": {"$in": wanted}}, fields, session=session) if wanted else ()
        return {document["_id"]: document for document in found}

    def _replaced(self, rows: Batch, session: ClientSession) -> dict[str, Stored]:
        """The documents that an upsert may change, whole."""
        found: dict[str, Stored] = {}
        held = 0
        for document in self._raw_rows.find({"_id": {"$in": rows.ids}}, session=session):
            found[document["_id"]] = document
            held += len(document.raw)
            if held > writing.MAX_REPLACED_BYTES and len(rows.ids) > 1:
                raise writing.too_big(rows)
        return found

    def _conflicts(self, created: list[str], session: ClientSession) -> list[Conflict]:
        """Documents that were made and are not ours any more. One that is gone is as it was."""
        return [_conflict(document) for document in self._stored(created, session, _MARK).values()]

    def _displaced(self, job: Job, rows: Batch, decision: Decision, session: ClientSession) -> list[Reject]:
        """Rows that were written and have lost their place to a row from further up."""
        if not decision.displaced:
            return []
        texts = lines.original(self._db, self._blobs, job_id=job.id, rows=decision.displaced, session=session)
        ids = {there["row"]: there["_id"] for _, there in decision.instead}
        self._name_first(job, rows, decision, ids, session)
        return [
            Reject(row=row, line=texts[row], errors=(rows.duplicate(ids[row], first),))
            for row, first in decision.displaced.items()
        ]

    def _name_first(
        self, job: Job, rows: Batch, decision: Decision, ids: Mapping[int, str], session: ClientSession
    ) -> None:
        """Rejects that named a displaced row as the first with their key name the one that is it now."""
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


def _is_upsert(job: Job) -> bool:
    return bool(job.params.get("mode") == "upsert")


def _conflict(document: Stored) -> Conflict:
    writer = str(document["written_by"]).partition(":")[0]
    return Conflict(id=document["_id"], row=document["row"], why=f"Changed since by job {writer}.")


def _changed_since(before: Mapping[str, Stored], now: Mapping[str, Stored], entry_id: str) -> list[Conflict]:
    """Documents that were changed and are neither ours any more nor as they were before."""
    gone = [Conflict(id=id_, row=None, why="Deleted since.") for id_ in before if id_ not in now]
    others = (document for document in now.values() if document["written_by"] != entry_id)
    return [*gone, *(_conflict(document) for document in others if document != before[document["_id"]])]
