"""The params and texts of a restart: a new job made from an earlier one, its parent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from collect.jobs.model import Job
from collect.jobs.states import State, Verb

_OF_THE_PARENT_ALONE = frozenset({"on_conflict", "supersedes"})
_OF_ITS_FILE = frozenset({"column_shift", "encoding", "skip_lines"})
"""Params that describe the parent's own file, so a restart with another file does not take them over.

The files that we give out (rejects, unprocessed rows) are UTF-8 and begin with their header, and shifted cells are
already moved back in them.
"""
LEFT_ROWS = frozenset({State.STOPPED, State.FAILED, State.PAUSED})
"""States in which a job may have rows that it never reached."""
MOST_ANCESTORS = 20
"""Most ancestors of a restart that are looked up: its parent, the parent of that, and so on."""


def reads_other_file(parent: Mapping[str, Any], given: Mapping[str, Any], *, with_file: bool = False) -> bool:
    """Return whether a restart reads another file: the request brings one (``with_file``), or ``given`` names one."""
    of_parent = parent.get("file_id")
    return with_file or given.get("file_id", of_parent) != of_parent


def params(
    parent: Mapping[str, Any], given: Mapping[str, Any], *, other_file: bool, detected: Collection[str] = ()
) -> dict[str, Any]:
    """Return the params of a restart: those of the parent, replaced by those in ``given``.

    ``detected``: params that were set because the parent's file is known. With another file they are left out.
    """
    left = _OF_THE_PARENT_ALONE | ({*_OF_ITS_FILE, *detected} if other_file else frozenset())
    return {**{name: value for name, value in parent.items() if name not in left}, **given}


def written_by(job_id: str) -> str:
    """Return the words in the message of a duplicate that name the restarted job ``job_id`` as the row's writer."""
    return f"was written by job {job_id}, which this job restarts"


def rows_are_there(job_id: str, rows: int) -> str:
    """Return a sentence that says how many rows of the restarted job are still stored."""
    if rows == 1:
        return f"1 row of job {job_id}, which is restarted, is still there."
    return f"{rows:,} rows of job {job_id}, which is restarted, are still there."


def unprocessed_link(job: Job) -> str | None:
    """Return the path of the download of rows that the job never reached, or ``None`` if it cannot have any."""
    return f"/v1/jobs/{job.id}/unprocessed?format=csv" if job.state in LEFT_ROWS else None


def way_out(job: Job, now: datetime) -> str:
    """Return what to do when rows that the restarted ``job`` has written are duplicates in the new job."""
    ways = []
    if (link := unprocessed_link(job)) is not None:
        as_export = " and formula_guarded true" if _is_guarded(job) else ""
        ways.append(
            f"restart with the rows that job {job.id} never reached{as_export} (GET {link}, or collect jobs "
            f"unprocessed {job.id} -o FILE)"
        )
    if Verb.UNDO in job.allowed_verbs(now):
        ways.append(f"undo job {job.id} before you restart it (collect jobs undo {job.id})")
    ways.append("restart with mode upsert, to write the rows once more")
    said = ", or ".join(ways)
    return f"{said[:1].upper()}{said[1:]}."


def _is_guarded(job: Job) -> bool:
    """Return whether the job's file was recognised as an export with guarded texts.

    Downloads of the job's rows have guarded texts as well.
    """
    return "formula_guarded" in job.detected and bool(job.params.get("formula_guarded"))
