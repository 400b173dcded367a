"""Exports at full speed: a pause asked → in effect → no query on the server any more; a small one behind a huge one.

    make bench ONLY=stopping ROWS=2000000

Also how two organisations share the slots when both ask for everything at once.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from pymongo.read_concern import ReadConcern

from collect.admin import sending
from collect.client.api import CollectClient
from collect.demo import responses, survey
from collect.jobs.states import State
from collect.storage import api_keys, organisations
from collect.testing.system import eventually
from exports import seed
from rig import Rig, rig, say, told

TRIES = 100
SMALL = {"form_id": survey.FORM_ID, "from_date": "2015-08-01", "to_date": "2015-08-02"}
HUGE = {"form_id": survey.FORM_ID}
OTHER = "other"
OTHER_ROWS = 500_000
SHARED_SECONDS = 15.0


def start(client: CollectClient, params: dict[str, Any]) -> str:
    return client.jobs.create("export", params, reason="bench", confirm="never").id


def running(rig_: Rig) -> str:
    """A huge export that writes at full speed."""
    job_id = start(rig_.client, HUGE)
    eventually(partial(wrote, rig_, job_id), seconds=60, what="it writes")
    return job_id


def wrote(rig_: Rig, job_id: str) -> bool:
    return rig_.written(job_id) > 0


def goes_on(rig_: Rig, job_id: str, seen: int) -> bool:
    return rig_.written(job_id) > seen or rig_.state(job_id) is State.SUCCEEDED


def queries(rig_: Rig) -> int:
    """Queries on responses that the server knows of, cursors that wait included."""
    ops: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True, "allUsers": True}},
        {"$match": {"ns": f"{rig_.db.db.name}.responses"}},
    ]
    return len(list(rig_.db.client.get_database("admin", read_concern=ReadConcern("local")).aggregate(ops)))


def pauses(rig_: Rig) -> None:
    """Each ends a slice in the middle of its queries."""
    in_effect: list[float] = []
    gone: list[float] = []
    after = 0
    job_id = running(rig_)
    while len(in_effect) < TRIES:
        eventually(partial(goes_on, rig_, job_id, rig_.written(job_id)), seconds=60, what="it writes")
        if rig_.state(job_id) is State.SUCCEEDED:
            job_id = running(rig_)
            continue
        action = rig_.client.jobs.pause(job_id, reason="bench").last_action
        answered = time.monotonic()
        rows = rig_.written(job_id)
        eventually(lambda: queries(rig_) == 0, seconds=10, what="the queries are gone")
        gone.append((time.monotonic() - answered) * 1000)
        assert action is not None
        in_effect.append(action.latency_ms or 0)
        after += rig_.written(job_id) - rows
        rig_.client.jobs.resume(job_id, reason="bench")
    rig_.client.jobs.terminate(job_id, reason="bench")
    told("export at full speed, asked → in effect", in_effect, "ms")
    told("… answered → no query on the server", gone, "ms")
    say(f"rows written after a pause was answered: {after}")


def behind(rig_: Rig) -> None:
    """A small export that comes when the huge one has every slot."""
    huge = running(rig_)
    first: list[float] = []
    done: list[float] = []
    for _ in range(10):
        began = time.monotonic()
        small = start(rig_.client, SMALL)
        eventually(partial(wrote, rig_, small), seconds=60, what="the small one writes")
        first.append(time.monotonic() - began)
        done.append(first[-1] + rig_.until(small, State.SUCCEEDED))
    assert rig_.state(huge) is State.RUNNING
    rig_.client.jobs.terminate(huge, reason="bench")
    told("small export behind a huge one, first chunk", first, "s")
    told("… done", done, "s")


def shared(rig_: Rig) -> None:
    """Two organisations, everything at once; rows of each in the same seconds."""
    organisations.ensure(rig_.db, org_id=OTHER, name=OTHER)
    first = responses.prepare(rig_.db, org_id=OTHER)
    batch = responses.Batch(org_id=OTHER, rows=OTHER_ROWS, first=first)
    sending.send(rig_.db.responses, responses.blocks(batch), report=lambda _: None)
    token = api_keys.create(rig_.db, org_id=OTHER, name="bench", role="operator").secret
    other = CollectClient(url=rig_.url, api_key=token)
    many = [start(rig_.client, HUGE) for _ in range(3)]
    eventually(partial(wrote, rig_, many[0]), seconds=60, what="it writes")
    one = start(other, HUGE)
    began, before = time.monotonic(), sum(map(rig_.written, many))
    eventually(partial(wrote, rig_, one), seconds=60, what="the other's first chunk")
    waited = time.monotonic() - began
    eventually(lambda: time.monotonic() - began > SHARED_SECONDS, seconds=60, what="some seconds are over")
    mine, theirs = sum(map(rig_.written, many)) - before, rig_.written(one)
    share = theirs / (mine + theirs)
    say(f"one export beside three of another organisation: first chunk after {waited:.1f} s, {share:.0%} of all rows")
    for client, job_id in [*((rig_.client, job_id) for job_id in many), (other, one)]:
        client.jobs.terminate(job_id, reason="bench")


def main(*, rows: int = 2_000_000) -> None:
    with rig() as rig_:
        seed(rig_, rows)
        rig_.worker(kind="export", slots=2)
        pauses(rig_)
        behind(rig_)
        shared(rig_)
