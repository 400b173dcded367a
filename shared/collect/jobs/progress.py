"""The progress of a job, summed from the counts of its parts. It is computed each time and never stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from collect.jobs.model import Counts, Job, Part
from collect.jobs.states import State


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a job: its rows by outcome, its speed, and the time left.

    ``total`` is ``None`` until the whole plan is made. In a job with filters it falls by each row that the filters
    leave out, and it grows by rows that were added after the plan. ``seconds_left`` is known only while rows are
    written. ``blank_rows``: empty lines of the file, which are not rows, as far as the file has been planned.
    """

    total: int | None
    done: int
    succeeded: int
    rejected: int
    undone: int
    blank_rows: int
    percent: float
    rows_per_second: float
    seconds_left: float | None
    at: datetime


def summed(parts: Iterable[Part]) -> Counts:
    """Return the counts of all parts together."""
    parts = list(parts)
    return Counts(**{name: sum(getattr(part.counts, name) for part in parts) for name in Counts.model_fields})


def progress(
    job: Job, counts: Counts, now: datetime, *, rows_per_second: float | None = None, blank_rows: int = 0
) -> Progress:
    """Return the progress of ``job`` at ``now``. ``counts``: the counts of all its parts together.

    ``rows_per_second``: the present rate, if it is known. Without it, the average since the job started is used, or 0
    if the job is not running.
    """
    total = None if job.total_rows is None else max(job.total_rows - counts.left_out, counts.done)
    rate = _rate(job, counts, now) if rows_per_second is None else rows_per_second
    seconds_left = None
    if job.state is State.RUNNING and total is not None and rate > 0:
        seconds_left = round((total - counts.done) / rate, 1)
    return Progress(
        total=total,
        done=counts.done,
        succeeded=counts.succeeded,
        rejected=counts.rejected,
        undone=counts.undone,
        blank_rows=blank_rows,
        percent=_percent(counts.done, total),
        rows_per_second=round(rate, 1),
        seconds_left=seconds_left,
        at=now,
    )


def _percent(done: int, total: int | None) -> float:
    if total is None:
        return 0.0
    return 100.0 if total == 0 else round(100 * done / total, 1)


def _rate(job: Job, counts: Counts, now: datetime) -> float:
    if job.state is not State.RUNNING or job.started_at is None:
        return 0.0
    seconds = (now - job.started_at).total_seconds()
    return counts.done / seconds if seconds > 0 else 0.0
