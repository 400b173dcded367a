"""The audit trail replayed: every legal move passes, every other is found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from collect.admin.invariants import audit, jobs
from collect.admin.invariants.facts import Facts
from collect.admin.invariants.findings import Code
from collect.jobs.model import Actor, Job, Part, PartStatus, Phase, Rest
from collect.jobs.states import LEGAL, State, Trigger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ILLEGAL = sorted(set(product(Trigger, State, State)) - set(LEGAL))


def trail(*moves: tuple[str, str | None, str]) -> Facts:
    entries: list[dict[str, Any]] = [
        {"_id": f"j:{seq}", "seq": seq, "verb": verb, "from": source, "to": target}
        for seq, (verb, source, target) in enumerate(moves, 1)
    ]
    job = Job(
        id="j",
        org_id="o",
        kind="upload",
        params={},
        state=State(moves[-1][2]),
        created_at=NOW,
        created_by=Actor(id="a", name="a"),
        audit_seq=len(moves),
    )
    return Facts(job=job, parts=[], entries=[], audit=entries, now=NOW)


def test_a_job_that_rests_by_its_limit_is_held_back() -> None:
    facts = trail(("create", None, "queued"))
    part = Part(id="j:1", job_id="j", org_id="o", kind="upload", n=1, phase=Phase.RUN, status=PartStatus.IDLE)
    slowed = facts.job.model_copy(
        update={"max_rows_per_second": 1.0, "rest": Rest(until=NOW + timedelta(hours=1), rows_per_second=1.0)}
    )
    assert jobs.waits_for_nothing(replace(facts, parts=[part]))
    assert not jobs.waits_for_nothing(replace(facts, parts=[part], job=slowed))


def codes(facts: Facts) -> list[Code]:
    return [finding.code for finding in audit.check(facts)]


def _last(facts: Facts) -> list[Code]:
    """Of the last move alone: those before it only lead to where it begins."""
    return [finding.code for finding in audit.check(facts) if finding.subject == facts.audit[-1]["_id"]]


@pytest.mark.parametrize("move", sorted(LEGAL), ids=str)
def test_a_legal_move_passes(move: tuple[Trigger, State, State]) -> None:
    trigger, source, target = move
    assert _last(trail(("create", None, source), (trigger, source, target))) == []


def test_every_other_move_is_found() -> None:
    passed = [
        (trigger, source, target)
        for trigger, source, target in ILLEGAL
        if not _last(trail(("create", None, source), (trigger, source, target)))
    ]
    assert passed == [(Trigger.PAUSE, State.PAUSED, State.PAUSED)], "another `until` is no move, and written down"


@pytest.mark.parametrize("first", sorted(State))
def test_a_job_begins_queued_or_waiting_for_confirmation(first: State) -> None:
    begins = first in (State.QUEUED, State.AWAITING_CONFIRMATION)
    assert codes(trail(("create", None, first))) == ([] if begins else [Code.AUDIT_ILLEGAL])


def test_a_move_begins_where_the_last_one_ended() -> None:
    facts = trail(("create", None, "queued"), ("stop", "paused", "stopped"))
    assert codes(facts) == [Code.AUDIT_ILLEGAL]


def test_a_gap_in_the_numbers_is_found() -> None:
    facts = trail(("create", None, "queued"), ("pause", "queued", "paused"))
    facts.audit.pop(0)
    assert codes(facts) == [Code.AUDIT_NOT_DENSE]
