"""How far a job is, summed from its parts. Nothing here is stored: the parts are the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from collect.jobs.model import Counts, Job, Part
from collect.jobs.states import State


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Rows by outcome. ``total`` is ``None`` while planning; ``seconds_left`` is known only while rows are written.

    Of a job with filters, ``total`` falls by the rows that turn out to be left out; it grows by those that come late.
    ``blank_rows``: lines of the file that hold nothing and are no row, as far as it has been planned.
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
    """The counts of all parts together."""
    parts = list(parts)
    return Counts(**{name: sum(getattr(part.counts, name) for part in parts) for name in Counts.model_fields})


def progress(
    job: Job, counts: Counts, now: datetime, *, rows_per_second: float | None = None, blank_rows: int = 0
) -> Progress:
    """The progress of ``job`` at ``now``, whose parts have ``counts`` together.

    ``rows_per_second``: the live rate, where one is known; else the average since the job started (0 at rest).
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
