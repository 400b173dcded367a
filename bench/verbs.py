"""Milliseconds of a verb: asked → in effect, asked → answered, in effect → slots free; and rows written after it.

    python -m bench.verbs

Idle: a job that waits for its slot, paused and resumed. Loaded: three jobs at full speed, one of them paused and
resumed; after each pause its rows are counted, and again when another job has committed more, so that a late write would
be seen.
"""

from __future__ import annotations

import time

from bench.rig import ORG, Rig, rig, rows_argument, say, told
from collect.admin import baseline
from collect.jobs.states import State
from collect.storage import datasets
from collect.testing.system import eventually

IDLE_TRIES = 200
JOBS = 3


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


def loaded(rig_: Rig, rows: int) -> None:
    """Three jobs run at full speed, on datasets of their own."""
    names = [f"{baseline.NAME}{n}" for n in range(JOBS)]
    for name in names:
        datasets.put(rig_.db, org_id=ORG, template=baseline.template(name=name))
    file = rig_.client.files.upload(rig_.file(rows))
    rig_.worker(slots=2)
    ids = [rig_.create(file.id, dataset=name) for name in names]
    victim = ids[0]
    in_effect: list[float] = []
    free: list[float] = []
    late = 0
    while any(rig_.state(other) in (State.QUEUED, State.RUNNING) for other in ids[1:]):
        if rig_.state(victim) is not State.RUNNING and rig_.state(victim) is not State.QUEUED:
            break
        seen = rig_.written(victim)
        eventually(
            lambda: rig_.written(victim) > seen or rig_.state(victim) is State.SUCCEEDED, seconds=60, what="rows"
        )
        if rig_.state(victim) is State.SUCCEEDED:
            break
        job = rig_.client.jobs.pause(victim, reason="bench")
        assert job.last_action is not None
        in_effect.append(job.last_action.latency_ms or 0)
        before = rig_.written(victim)
        paused = eventually(
            lambda: (
                (found := rig_.client.jobs.get(victim)).last_action
                and found.last_action.slots_free_at
                and found.last_action
            ),
            seconds=10,
            what="slots are free",
        )
        assert paused.slots_free_at is not None
        assert paused.effective_at is not None
        free.append((paused.slots_free_at - paused.effective_at).total_seconds() * 1000)
        late += rig_.written(victim) - before
        rig_.client.jobs.resume(victim, reason="bench")
    told("three jobs at full speed, asked → in effect", in_effect, "ms")
    told("three jobs at full speed, in effect → slots free", free, "ms")
    say(f"rows written after a pause was answered: {late}")
    for job_id in ids:
        if rig_.state(job_id) in (State.QUEUED, State.RUNNING, State.PAUSED):
            rig_.client.jobs.terminate(job_id, reason="bench")


def main() -> None:
    rows = rows_argument("milliseconds of a verb", default=1_000_000)
    with rig() as rig_:
        idle(rig_)
        loaded(rig_, rows)


if __name__ == "__main__":
    main()
