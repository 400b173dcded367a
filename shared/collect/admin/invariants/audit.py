"""The audit trail, replayed against the table of moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collect.admin.invariants.facts import Facts
from collect.admin.invariants.findings import Code, Finding
from collect.jobs.states import LEGAL, State, Verb

_BEGINNINGS = frozenset({State.QUEUED.value, State.AWAITING_CONFIRMATION.value})
_LEGAL = frozenset((move[0].value, move[1].value, move[2].value) for move in LEGAL)
_NO_MOVE = (Verb.PAUSE.value, State.PAUSED.value, State.PAUSED.value)
"""Another ``until`` for a job that is paused is written down as well."""


def check(facts: Facts) -> Iterator[Finding]:
    """Numbered without a gap, each move legal and beginning where the last one ended, the last one at the state."""
    job = facts.job
    numbers = [entry.get("seq") for entry in facts.audit]
    if numbers != list(range(1, job.audit_seq + 1)):
        said = f"The job is at {job.audit_seq}; its {len(numbers)} entries are not numbered from 1 to that."
        yield Finding(code=Code.AUDIT_NOT_DENSE, subject=job.id, message=said)
        return
    state: str | None = None
    for entry in facts.audit:
        if not _follows(entry, state):
            said = f"After {state}: {entry['verb']} from {entry['from']} to {entry['to']}."
            yield Finding(code=Code.AUDIT_ILLEGAL, subject=entry["_id"], message=said)
        state = entry["to"]
    if state != job.state.value:
        said = f"The job is {job.state.value}; its audit ends with {state}."
        yield Finding(code=Code.AUDIT_ILLEGAL, subject=job.id, message=said)


def _follows(entry: dict[str, Any], state: str | None) -> bool:
    if entry["from"] != state:
        return False
    if state is None:
        return entry["verb"] == "create" and entry["to"] in _BEGINNINGS
    move = (entry["verb"], state, entry["to"])
    return move in _LEGAL or move == _NO_MOVE
