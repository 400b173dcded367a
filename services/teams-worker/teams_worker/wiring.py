"""The factory of the task, called in each slot.

It has a module of its own, since a spawned process cannot import from ``__main__``.
"""

from __future__ import annotations

from collect.storage.database import Database
from collect.storage.object_store import open_blobs
from teams_worker.task import TeamsTask


def make_task(db: Database, storage_url: str) -> TeamsTask:
    """Return the task, connected to the stores of the settings."""
    return TeamsTask(db=db, blobs=open_blobs(storage_url, db))
