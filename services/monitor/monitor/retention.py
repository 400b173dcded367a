"""The removal of data: results and input files whose time is over, and objects that crashes have left behind."""

from __future__ import annotations

import logging
from datetime import timedelta

from collect.clock import Clock
from collect.jobs.model import Job
from collect.storage import results, retention
from collect.storage.database import Database
from collect.storage.files import InputFile
from collect.storage.object_store import Blobs
from monitor.ticking import each

_log = logging.getLogger(__name__)


class Retention:
    """Removes data whose time is over. An index finds each item; an item that is gone already is skipped."""

    def __init__(self, *, db: Database, blobs: Blobs, clock: Clock) -> None:
        self._db = db
        self._blobs = blobs
        self._clock = clock

    def tick(self) -> int:
        """Remove expired results, the objects of exports that were taken back, and expired input files.

        Return the number of results, exports and files whose data was removed.
        """
        self._removed = 0
        at = self._clock.now()
        each(results.expired(self._db, at), self._expire, name=lambda job: job.id)
        each(retention.taken_back(self._db, at), self._take_back, name=str)
        each(retention.expired_files(self._db, at), self._forget, name=lambda file: file.id)
        return self._removed

    def _expire(self, job: Job) -> None:
        if results.expire(self._db, self._blobs, job, at=self._clock.now()):
            self._removed += 1
            _log.info("result_expired", extra={"job": job.id})

    def _take_back(self, job_id: str) -> None:
        objects = self._blobs.delete_prefix(results.prefix_of(job_id))
        if objects:
            self._removed += 1
            _log.info("objects_taken_back", extra={"job": job_id, "objects": objects})

    def _forget(self, file: InputFile) -> None:
        if retention.forget(self._db, self._blobs, file, at=self._clock.now()):
            self._removed += 1
            _log.info("file_expired", extra={"file": file.id})


class Leftovers:
    """Removes objects that crashes have left behind. It must search the whole store, so it runs less often."""

    def __init__(self, *, db: Database, blobs: Blobs, clock: Clock, after_seconds: float) -> None:
        self._db = db
        self._blobs = blobs
        self._clock = clock
        self._after = timedelta(seconds=after_seconds)

    def tick(self) -> int:
        """Remove old objects and unfinished writes that belong to no job or file. Return their number."""
        at = self._clock.now()
        removed: list[str] = []

        def remove(name: str) -> None:
            self._blobs.delete(name)
            removed.append(name)

        swept = self._blobs.sweep(at - self._after)
        found = retention.orphans(self._db, self._blobs, at=at, before=at - self._after)
        each(found, remove, name=str)
        if removed or swept:
            _log.warning("leftovers_removed", extra={"objects": len(removed), "writes": swept, "first": removed[:5]})
        return len(removed) + swept
