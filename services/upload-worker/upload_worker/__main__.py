"""Wiring of the upload worker: settings, the task, and the runtime that every worker shares."""

from __future__ import annotations

from collect.runtime.service import serve
from collect.storage.blobs import open_blobs
from collect.storage.database import Database
from upload_worker.task import UploadTask


def make_task(db: Database, storage_url: str) -> UploadTask:
    """The task, in a slot's process."""
    return UploadTask(db=db, blobs=open_blobs(storage_url, db))


if __name__ == "__main__":
    serve(service="upload-worker", kind="upload", make_task=make_task)
