"""Why a job fails, pauses itself or gets no further, in words for people."""

from __future__ import annotations

from typing import Any

from collect.errors import NotFound, StoreFull, TaskRefused, Transient
from collect.jobs.model import Reason
from collect.storage import verbs
from collect.storage.database import now


def store_full(error: StoreFull) -> Reason:
    """The file store takes nothing."""
    hint = "Make room, then resume." if error.code == StoreFull.code else "Mend what the store refuses, then resume."
    return Reason(code=error.code, message=error.detail, hint=hint)


def file_missing(error: NotFound) -> Reason:
    """A blob that the job needs is not there."""
    hint = "See that this worker reaches the file store; then resume."
    return Reason(code="file_missing", message=error.detail, hint=hint)


def refused(error: TaskRefused) -> Reason:
    """The task says that the job cannot run."""
    return Reason(code=error.code, message=error.detail, where=error.where)


def put_off(error: Transient) -> Reason:
    """A slice got no further; the next one may."""
    return Reason(
        code="put_off",
        message=f"At {now():%H:%M:%S} UTC it could not go on: {error.detail}",
        hint="It is tried again each second until it can.",
    )


def over_limit(*, counted: int, limit: float, worst: dict[str, Any] | None, suspicion: str | None) -> Reason:
    """More rows were rejected than are allowed. ``worst``: the commonest error among those that are stored."""
    return Reason(
        code=verbs.OVER_LIMIT,
        message=f"{counted:,} rows were rejected; {limit:,.0f} were allowed.",
        hint=_hint(worst, counted=counted, suspicion=suspicion),
    )


def _hint(worst: dict[str, Any] | None, *, counted: int, suspicion: str | None) -> str:
    advice = "Resume accepts the rejects so far; terminate takes back what was written."
    if suspicion is not None:
        advice = f"{suspicion} {advice}"
    if worst is None:
        return advice
    among = f" among the {worst['stored']:,} that are stored" if worst["stored"] < counted else ""
    return (
        f"Most often it is {worst['field'] or 'the row'}: {worst['code']} ({worst['count']:,} times{among}, first in "
        f"row {worst['row']:,}: {worst['message']}). {'' if suspicion else 'Are its columns the right ones? '}{advice}"
    )
