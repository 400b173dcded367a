"""Results of stopped exports are made when somebody asks for them, which may take longer than anybody waits."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from collect.errors import CollectError, Transient
from collect.jobs.model import Job
from collect.storage import results
from collect.storage.blobs import Blobs
from collect.storage.database import Database

WAIT_SECONDS = 5.0
AT_ONCE = 4
"""Of a process. Whoever asks for one more is told to ask again."""

_free = threading.BoundedSemaphore(AT_ONCE)


def made(db: Database, blobs: Blobs, job: Job) -> Job:
    """The job with its result, which of a stopped one is made on a thread of its own. Blocks for some seconds at most.

    Raises:
        Conflict: ``no_result``.
        Transient: ``result_pending``: it is not made yet.
    """
    if not results.is_unmade(job):
        return results.keep_stopped(db, blobs, job)
    if not _free.acquire(blocking=False):
        raise _pending()
    found: Future[Job] = Future()
    threading.Thread(target=_make, args=(db, blobs, job, found), name="result", daemon=True).start()
    try:
        return found.result(WAIT_SECONDS)
    except TimeoutError:
        raise _pending() from None


def _make(db: Database, blobs: Blobs, job: Job, found: Future[Job]) -> None:
    try:
        found.set_result(results.keep_stopped(db, blobs, job))
    except Exception as error:  # noqa: BLE001 - the boundary of the thread: raised again where it is waited for
        found.set_exception(error)
    finally:
        _free.release()


def _pending() -> CollectError:
    return Transient("The result is being made from what the export has written. Ask again.", code=results.PENDING)
