"""Removing what is not needed any more: results and input files in time, and what crashes have left behind."""

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
    """What is known to be over: each is found by an index, and what is not there any more is passed by."""

    def __init__(self, *, db: Database, blobs: Blobs, clock: Clock) -> None:
        self._db = db
        self._blobs = blobs
        self._clock = clock

    def tick(self) -> int:
        """Remove results, objects of exports that were taken back, and input files; returns how many there were."""
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
    """What crashes have left: found by looking through the whole store, so more seldom."""

    def __init__(self, *, db: Database, blobs: Blobs, clock: Clock, after_seconds: float) -> None:
        self._db = db
        self._blobs = blobs
        self._clock = clock
        self._after = timedelta(seconds=after_seconds)

    def tick(self) -> int:
        """Remove what is old enough and belongs to nobody; returns how much there was."""
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
