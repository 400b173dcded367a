"""Why a job fails, pauses itself or gets no further, in words for people."""

from __future__ import annotations

from typing import Any

from collect.errors import NotFound, StoreFull, TaskRefused
from collect.jobs.model import Phase, Reason
from collect.storage import verbs, work
from collect.storage.database import now


def store_full(error: StoreFull, phase: Phase) -> Reason:
    """The file store takes nothing."""
    first = "Make room" if error.code == StoreFull.code else "Mend what the store refuses"
    return Reason(code=error.code, message=error.detail, hint=f"{first}, then {_again(phase)}.")


def file_missing(error: NotFound, phase: Phase) -> Reason:
    """A blob that the job needs is not there."""
    hint = f"See that this worker reaches the file store; then {_again(phase)}."
    return Reason(code="file_missing", message=error.detail, hint=hint)


def _again(phase: Phase) -> str:
    """The verb that tries again."""
    return "undo" if phase is Phase.UNDO else "resume"


def refused(error: TaskRefused) -> Reason:
    """The task says that the job cannot run."""
    return Reason(code=error.code, message=error.detail, where=error.where)


def put_off(said: str) -> Reason:
    """A slice got no further; the next one may."""
    return Reason(
        code=work.PUT_OFF,
        message=f"On {now():%Y-%m-%d at %H:%M:%S} UTC it could not go on: {said}",
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
