"""The reasons why a job fails, pauses itself or gets no further, in words for people."""

from __future__ import annotations

from typing import Any

from collect.errors import NotFound, StoreFull, TaskRefused
from collect.jobs import restarts
from collect.jobs.model import Job, Phase, Reason
from collect.protocol import commits, reject_limit, verbs
from collect.protocol.reject_limit import Standing
from collect.runtime.task import Task
from collect.storage import jobs, rejects
from collect.storage.database import Database, now

ROWS_OF_PARENT = "rows_of_parent"
"""The reason's code of a restarted job whose rows were rejected because an earlier job has written them."""


def store_full(error: StoreFull, phase: Phase) -> Reason:
    """Return the reason of a job that failed because the file store accepts no more data."""
    first = "Make room" if error.code == StoreFull.code else "Correct what the store refuses"
    return Reason(code=error.code, message=error.detail, hint=f"{first}, then {_again(phase)}.")


def file_missing(error: NotFound, phase: Phase) -> Reason:
    """Return the reason of a job that failed because a blob that it needs is missing."""
    hint = f"See that this worker reaches the file store; then {_again(phase)}."
    return Reason(code="file_missing", message=error.detail, hint=hint)


def _again(phase: Phase) -> str:
    """Return the verb with which a person tries the phase again."""
    return "undo" if phase is Phase.UNDO else "resume"


def refused(error: TaskRefused) -> Reason:
    """Return the reason of a job that its task refused to run."""
    return Reason(code=error.code, message=error.detail, where=error.where)


def put_off(cause: str) -> Reason:
    """Return the reason of a job whose slice had to be put off. ``cause``: a sentence."""
    return Reason(
        code=commits.PUT_OFF,
        message=f"On {now():%Y-%m-%d at %H:%M:%S} UTC it could not go on: {cause}",
        hint="It is tried again each second until it can.",
    )


def over_limit(db: Database, job: Job, task: Task) -> Reason | None:
    """Return the reason to pause the job, if more of its rows were rejected than are allowed. Reads only."""
    limit = reject_limit.limit_of(job)
    if limit is None:
        return None
    standing = reject_limit.standing(db, job)
    if standing.rejected <= limit:
        return None
    worst = rejects.most_frequent(db, job_id=job.id)
    of_parent = rows_of_parent(db, job)
    diagnosis = f"{of_parent.message} {of_parent.hint}" if of_parent else task.diagnose(job)
    return Reason(
        code=verbs.OVER_LIMIT,
        message=_over_limit(standing, limit=limit, total=job.total_rows, resumed=job.rejected_before > 0),
        hint=_hint(worst, counted=standing.rejected, diagnosis=diagnosis),
    )


def rows_of_parent(db: Database, job: Job) -> Reason | None:
    """Return the reason of a job whose rows were rejected because a job that it restarts has written them already.

    ``None`` if there are no such rows. Reads only.
    """
    for ancestor in jobs.ancestors(db, job):
        rows = rejects.saying(db, job_id=job.id, code="duplicate_key", words=restarts.written_by(ancestor.id))
        if rows:
            are = "1 rejected row was" if rows == 1 else f"{rows:,} of the rejected rows were"
            message = f"{are} written by job {ancestor.id}, which this one restarts."
            return Reason(code=ROWS_OF_PARENT, message=message, hint=restarts.way_out(ancestor, now()))
    return None


def _over_limit(now: Standing, *, limit: int, total: int | None, resumed: bool) -> str:
    of_total = "" if total is None else f" of {total:,}"
    since = " since it was resumed" if resumed else ""
    return (
        f"{_rows_were(now.rejected)} rejected{since}; {limit:,} {'was' if limit == 1 else 'were'} allowed. "
        f"It had looked at {now.looked_at:,}{of_total} {'row' if (total or now.looked_at) == 1 else 'rows'} by then."
    )


def _rows_were(count: int) -> str:
    return "1 row was" if count == 1 else f"{count:,} rows were"


def _hint(worst: dict[str, Any] | None, *, counted: int, diagnosis: str | None) -> str:
    advice = "Resume accepts the rejects so far; terminate takes back what was written."
    if diagnosis is not None:
        advice = f"{diagnosis} {advice}"
    if worst is None:
        return advice
    times = "time" if worst["count"] == 1 else "times"
    among = f" among the {worst['stored']:,} that are stored" if worst["stored"] < counted else ""
    return (
        f"Most often it is {worst['field'] or 'the row'}: {worst['code']} ({worst['count']:,} {times}{among}, first in "
        f"row {worst['row']:,}: {worst['message']}). {'' if diagnosis else 'Are its columns the right ones? '}{advice}"
    )
