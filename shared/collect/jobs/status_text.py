"""The state of a job in one sentence, for a person who has never seen the table of states."""

from __future__ import annotations

from typing import assert_never

from collect.jobs.model import Job
from collect.jobs.progress import Progress
from collect.jobs.states import State


def status_sentence(job: Job, progress: Progress, *, waiting_for: str | None = None) -> str:
    """Return one sentence about the job's state and progress. ``waiting_for``: the job that holds its lock."""
    written = _written(job, progress)
    match job.state:
        case State.AWAITING_CONFIRMATION:
            return "Waiting for somebody to confirm that it is wanted; nothing runs until then."
        case State.QUEUED:
            return _queued(job, progress, waiting_for)
        case State.RUNNING if progress.total is None:
            so_far = f"{written} so far; still " if progress.done else ""
            return f"Running: {so_far}finding its parts.{_rest(job, progress)}{_why(job)}"
        case State.RUNNING:
            return f"Running: {written}{_left(job, progress)}.{_rest(job, progress)}{_why(job)}"
        case State.PAUSED:
            return f"Paused: {written}; {_resumes(job)}.{_why(job)}"
        case State.STOPPED:
            return f"Stopped: {written}; what was written is kept."
        case State.TERMINATING | State.UNDOING:
            verb = "Terminating" if job.state is State.TERMINATING else "Undoing"
            return f"{verb}: {_documents(progress.undone)} taken back so far.{_why(job)}"
        case State.TERMINATED | State.UNDONE:
            word = "Terminated" if job.state is State.TERMINATED else "Undone"
            return f"{word}: {_taken_back(job, progress)}"
        case State.SUCCEEDED:
            return f"Succeeded: {written}.{_why(job)}"
        case State.FAILED:
            return f"Failed{_failed(job)} {_kept(progress, written)}"
        case State.UNDO_FAILED:
            return f"Undo failed: {job.reason.message if job.reason else 'no reason was recorded.'} Undo tries again."
        case _:
            assert_never(job.state)


def _queued(job: Job, progress: Progress, waiting_for: str | None) -> str:
    if waiting_for:
        return f"Queued: waiting for job {waiting_for}, which holds the {_held(job)}."
    if job.start_at and job.started_at is None and job.start_at > progress.at:
        return f"Queued: starts at {job.start_at:%Y-%m-%d %H:%M:%S} UTC."
    if rest := _rest(job, progress):
        return f"Queued: {_written(job, progress)}.{rest}"
    if progress.done:
        return f"Queued: {_written(job, progress)}; waiting for a slot."
    return "Queued: waiting for a slot."


def _resumes(job: Job) -> str:
    if job.until is None:
        return "nothing is written until it is resumed"
    return f"nothing is written until it resumes by itself at {job.until:%Y-%m-%d %H:%M:%S} UTC"


def _why(job: Job) -> str:
    return f" {job.reason.message}" if job.reason else ""


def _rest(job: Job, progress: Progress) -> str:
    if job.rest is None or not job.rests(progress.at):
        return ""
    limit = f"{job.rest.rows_per_second:,g} rows a second"
    return (
        f" It rests until {job.rest.until:%H:%M:%S} UTC, as its limit of {limit} wants; others use its slots meanwhile."
    )


def _held(job: Job) -> str:
    """Return what the job's lock is for, ``dataset`` or ``teams``. It stands after the organisation in the name."""
    return (job.lock or ":dataset").split(":")[1]


def _written(job: Job, progress: Progress) -> str:
    of_total = "" if progress.total is None else f" of {progress.total:,}"
    rejected = f", {progress.rejected:,} rejected" if progress.rejected or job.max_rejected else ""
    of_what = progress.succeeded if progress.total is None else progress.total
    return f"{progress.succeeded:,}{of_total} {'row' if of_what == 1 else 'rows'} written{rejected}"


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"


def _left(job: Job, progress: Progress) -> str:
    if job.corrections and progress.done == progress.total:
        return "; rejected rows that were corrected are being written"
    if progress.seconds_left is None:
        return ""
    seconds = round(progress.seconds_left)
    if seconds < 120:
        return f"; about {seconds} s left"
    return f"; about {round(seconds / 60)} min left"


def _taken_back(job: Job, progress: Progress) -> str:
    if job.conflicts:
        return f"{_documents(progress.undone)} taken back, {job.conflicts:,} left alone because others changed them."
    if not progress.undone:
        return "nothing had been written."
    return f"everything it wrote was taken back ({_documents(progress.undone)})."


def _failed(job: Job) -> str:
    """Return the reason of a failed job as text, with the place if the message does not name it."""
    if job.reason is None:
        return ": no reason was recorded."
    where, message = job.reason.where, job.reason.message
    return f" ({where}): {message}" if where and where not in message else f": {message}"


def _kept(progress: Progress, written: str) -> str:
    if not progress.done:
        return "Nothing was written."
    return f"{written[:1].upper()}{written[1:]}; what was written is kept."
