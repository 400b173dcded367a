"""What an earlier demo has left, and how it is taken back, so that the story can be told again."""

from __future__ import annotations

import json
from pathlib import Path

from collect.api.jobs import Job
from collect.client import CollectClient, Missing

UNDO_SECONDS = 60.0


class OwnJobs:
    """The ids of the jobs that the demo has made, kept in a file: no other job is ever touched."""

    def __init__(self, *, path: Path) -> None:
        self._path = path

    def remember(self, job: Job) -> None:
        self._write([*self._read(), job.id])

    def take_back(self, client: CollectClient) -> int:
        """Terminate what is under way and undo what was written, newest first; returns how many jobs that were."""
        remembered = self._read()
        jobs = [job for job in (_found(client, job_id) for job_id in reversed(remembered)) if job is not None]
        taken_back = sum(_take_back(client, job) for job in jobs)
        self._write([])
        return taken_back

    def _read(self) -> list[str]:
        return list(json.loads(self._path.read_text(encoding="utf-8"))) if self._path.exists() else []

    def _write(self, ids: list[str]) -> None:
        self._path.write_text(json.dumps(ids), encoding="utf-8")


def _found(client: CollectClient, job_id: str) -> Job | None:
    try:
        return client.jobs.get(job_id)
    except Missing:
        return None


def _take_back(client: CollectClient, job: Job) -> bool:
    reason = "The demo begins again"
    if "terminate" in job.allowed_verbs:
        client.jobs.terminate(job.id, reason=reason)
    elif "undo" in job.allowed_verbs:
        client.jobs.undo(job.id, reason=reason)
    elif job.rests:
        return False
    client.jobs.wait(job.id, "rest", timeout_seconds=UNDO_SECONDS)
    return True
