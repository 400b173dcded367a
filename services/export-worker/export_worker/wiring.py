"""The factory of the task, called in each slot.

It has a module of its own, since a spawned process cannot import from ``__main__``.
"""

from __future__ import annotations

from collect.storage.database import Database
from collect.storage.object_store import open_blobs
from export_worker.task import ExportTask


def make_task(db: Database, storage_url: str) -> ExportTask:
    """Return the task, connected to the stores of the settings."""
    return ExportTask(db=db, blobs=open_blobs(storage_url, db))
