"""Milliseconds of a verb: asked → in effect, asked → answered, in effect → slots free; and rows written after it.

    make bench ONLY=verbs

Idle: a job that waits for its slot, paused and resumed. Loaded: three jobs at full speed, each paused and resumed in
turn; after each pause its rows are counted, and again when its slots are free, so that a late write would be seen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from collect.api.jobs import Action
from collect.client.errors import ApiError
from collect.demo import baseline
from collect.jobs.states import State
from collect.testing.system import eventually
from rig import Rig, rig, say, told

IDLE_TRIES = 500
LOADED_TRIES = 1_000
JOBS = 3
UNFINISHED = (State.QUEUED, State.RUNNING, State.PAUSED)


def idle(rig_: Rig) -> None:
    """Nobody works: no worker is there."""
    job_id = rig_.upload(rig_.file(10_000))
    in_effect: list[float] = []
    answered: list[float] = []
    for _ in range(IDLE_TRIES):
        for verb in (rig_.client.jobs.pause, rig_.client.jobs.resume):
            began = time.monotonic()
            job = verb(job_id, reason="bench")
            answered.append((time.monotonic() - began) * 1000)
            assert job.last_action is not None
            in_effect.append(job.last_action.latency_ms or 0)
    told("idle, asked → in effect", in_effect, "ms")
    told("idle, asked → answered", answered, "ms")
    rig_.client.jobs.terminate(job_id, reason="bench")


def loaded(rig_: Rig, rows: int, tries: int) -> list[Try]:
    """Three jobs at full speed, on datasets of their own, until one has written all or there were so many tries."""
    names = [f"{baseline.NAME}{n}" for n in range(JOBS)]
    for name in names:
        rig_.dataset(name)
    file = rig_.client.files.upload(rig_.file(rows))
    rig_.worker(slots=2)
    ids = [rig_.create(file.id, dataset=name) for name in names]
    made: list[Try] = []
    while len(made) < tries and (one := once(rig_, ids[len(made) % JOBS])) is not None:
        made.append(one)
    for name, job_id in zip(names, ids, strict=True):
        if rig_.state(job_id) in UNFINISHED:
            rig_.client.jobs.stop(job_id, reason="bench")
        assert rig_.stored(name) == rig_.written(job_id), "the ledger names every row that is stored, and no other"
    return made


@dataclass(frozen=True, kw_only=True)
class Try:
    """One pause."""

    in_effect_ms: float
    slots_free_ms: float
    rows_after: int


def once(rig_: Rig, victim: str) -> Try | None:
    """Pause and resume a job that is writing; `None` when it has written all."""
    seen = rig_.written(victim)
    eventually(
        lambda: rig_.written(victim) > seen or rig_.state(victim) not in UNFINISHED, seconds=60, what="rows are written"
    )
    try:
        job = rig_.client.jobs.pause(victim, reason="bench")
    except ApiError:
        return None
    before = rig_.written(victim)
    action = eventually(lambda: freed(rig_, victim), seconds=10, what="slots are free")
    after = rig_.written(victim)
    rig_.client.jobs.resume(victim, reason="bench")
    assert job.last_action is not None
    assert action.slots_free_at is not None
    assert action.effective_at is not None
    return Try(
        in_effect_ms=job.last_action.latency_ms or 0,
        slots_free_ms=(action.slots_free_at - action.effective_at).total_seconds() * 1000,
        rows_after=after - before,
    )


def freed(rig_: Rig, job_id: str) -> Action | None:
    """The job's last action, once its slots are free."""
    action = rig_.client.jobs.get(job_id).last_action
    return action if action is not None and action.slots_free_at is not None else None


def main(*, rows: int = 1_000_000) -> None:
    with rig() as rig_:
        idle(rig_)
    tries: list[Try] = []
    while len(tries) < LOADED_TRIES:
        with rig() as rig_:
            tries += loaded(rig_, rows, LOADED_TRIES - len(tries))
    told("three jobs at full speed, asked → in effect", [one.in_effect_ms for one in tries], "ms")
    told("three jobs at full speed, in effect → slots free", [one.slots_free_ms for one in tries], "ms")
    say(f"rows written after a pause was answered: {sum(one.rows_after for one in tries)}")
