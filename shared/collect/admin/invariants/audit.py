"""Checks the audit trail against the table of moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collect.admin.invariants.facts import Facts
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.states import LEGAL, State, Verb

_BEGINNINGS = frozenset({State.QUEUED.value, State.AWAITING_CONFIRMATION.value})
_LEGAL = frozenset((move[0].value, move[1].value, move[2].value) for move in LEGAL)
_NO_MOVE = (Verb.PAUSE.value, State.PAUSED.value, State.PAUSED.value)
"""A pause of a paused job, which changes its ``until``. It is recorded though it is no move."""


def check(facts: Facts) -> Iterator[Finding]:
    """Entries have no gaps; each move is legal and begins where the last one ended; the last one ends at the state."""
    job = facts.job
    numbers = [entry.get("seq") for entry in facts.audit]
    if numbers != list(range(1, job.audit_seq + 1)):
        message = f"Its audit_seq is {job.audit_seq}, but its {len(numbers)} entries are not numbered from 1 to that."
        yield Finding(code=Code.AUDIT_NOT_DENSE, subject=job.id, message=message)
        return
    state: str | None = None
    for entry in facts.audit:
        if not _follows(entry, state):
            message = f"After {state}: {entry['verb']} from {entry['from']} to {entry['to']}."
            yield Finding(code=Code.AUDIT_ILLEGAL, subject=entry["_id"], message=message)
        state = entry["to"]
    if state != job.state.value:
        message = f"The job is {job.state.value}; its audit ends with {state}."
        yield Finding(code=Code.AUDIT_ILLEGAL, subject=job.id, message=message)


def _follows(entry: dict[str, Any], state: str | None) -> bool:
    if entry["from"] != state:
        return False
    if state is None:
        return entry["verb"] == "create" and entry["to"] in _BEGINNINGS
    move = (entry["verb"], state, entry["to"])
    return move in _LEGAL or move == _NO_MOVE
