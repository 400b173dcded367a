"""The results of stopped exports. They are built at the first request, on a thread, since that can take long."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future

from collect.jobs.model import Job
from collect.storage import results
from collect.storage.database import Database
from collect.storage.object_store import Blobs

_log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
AT_ONCE = 4
"""Most results that one process builds at once, and at most one of an organisation. Further requests get 503."""


class Room:
    """The organisations for which a result is being built: at most ``most``, each once. Safe for several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = set[str]()
        self._lock = threading.Lock()

    def enter(self, org_id: str) -> bool:
        """Enter the organisation if there is room, and return whether there was. Does not block."""
        with self._lock:
            if org_id in self._inside or len(self._inside) >= self._most:
                return False
            self._inside.add(org_id)
            return True

    def leave(self, org_id: str) -> None:
        with self._lock:
            self._inside.remove(org_id)


_room = Room(AT_ONCE)


def made(db: Database, blobs: Blobs, job: Job) -> Job:
    """Return the job with its result. The result of a stopped job is built on a thread of its own.

    Blocks for at most ``WAIT_SECONDS``.

    Raises:
        Conflict: the job has no result (``no_result``).
        Transient: the result is not built yet (``result_pending``), or building it failed a short time ago.
    """
    if not results.is_unmade(job):
        return results.keep_stopped(db, blobs, job)
    if not _room.enter(job.org_id):
        return results.made_by_now(db, job)
    found: Future[Job] = Future()
    threading.Thread(target=_make, args=(db, blobs, job, found), name="result", daemon=True).start()
    try:
        return found.result(WAIT_SECONDS)
    except TimeoutError:
        raise results.pending() from None


def _make(db: Database, blobs: Blobs, job: Job, found: Future[Job]) -> None:
    try:
        found.set_result(_kept(db, blobs, job))
    except Exception as error:  # noqa: BLE001 - the boundary of the thread: raised again where it is waited for
        _log.warning("result_not_made", extra={"job": job.id, "error": type(error).__name__})  # if anybody still waits
        found.set_exception(error)


def _kept(db: Database, blobs: Blobs, job: Job) -> Job:
    try:
        return results.keep_stopped(db, blobs, job)
    finally:
        _room.leave(job.org_id)  # before there is an answer: who gets it may ask for the next one at once
