"""What a restarted job takes over from the one that it is like."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from collect.jobs.model import Job
from collect.jobs.states import State, Verb

_OF_THE_PARENT_ALONE = frozenset({"on_conflict", "supersedes"})
_OF_ITS_FILE = frozenset({"column_shift", "encoding", "skip_lines"})
"""True of the file that was sent, and not of another one: what we give out is UTF-8 and begins with its header, and its
cells have been moved."""
LEFT_ROWS = frozenset({State.STOPPED, State.FAILED, State.PAUSED})
"""States in which a job may have rows that it never reached."""
MOST_ANCESTORS = 20
"""Jobs of which one is a restart, each of the next, that are looked for."""


def reads_other_file(parent: Mapping[str, Any], given: Mapping[str, Any], *, with_file: bool = False) -> bool:
    """Return whether a restart reads another file: one comes along (``with_file``), or ``given`` names one."""
    of_parent = parent.get("file_id")
    return with_file or given.get("file_id", of_parent) != of_parent


def params(
    parent: Mapping[str, Any], given: Mapping[str, Any], *, other_file: bool, detected: Collection[str] = ()
) -> dict[str, Any]:
    """Return the params of a restart of a job with the params ``parent``, except where ``given`` says otherwise.

    ``detected``: params that were set because the parent's file is known. They say nothing of another file.
    """
    left = _OF_THE_PARENT_ALONE | ({*_OF_ITS_FILE, *detected} if other_file else frozenset())
    return {**{name: value for name, value in parent.items() if name not in left}, **given}


def written_by(job_id: str) -> str:
    """Return what the message of a duplicate says, which the restarted job ``job_id`` has written."""
    return f"was written by job {job_id}, which this job restarts"


def rows_are_there(job_id: str, rows: int) -> str:
    """Return the sentence that rows of a job that is restarted are still stored."""
    if rows == 1:
        return f"1 row of job {job_id}, which is restarted, is still there."
    return f"{rows:,} rows of job {job_id}, which is restarted, are still there."


def unprocessed_link(job: Job) -> str | None:
    """Return where the rows are that the job never reached, if it may have some."""
    return f"/v1/jobs/{job.id}/unprocessed?format=csv" if job.state in LEFT_ROWS else None


def way_out(job: Job, now: datetime) -> str:
    """Return what to do about rows that the restarted ``job`` has written, and that the new job meets as duplicates."""
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
    """Return whether the job's file is known as an export with guarded texts. Rows that are given out look like it."""
    return "formula_guarded" in job.detected and bool(job.params.get("formula_guarded"))
