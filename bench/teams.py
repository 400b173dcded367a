"""Teams in bulk, with a manager and five members each: made, changed and taken back; their preview; verbs.

    make bench ONLY=teams ROWS=10000

So many teams, and ten times as many for the cost per team. They are changed by the same file with `manager_phone`
slipped down by ten rows, which is the mistake that people make.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

from collect.demo import survey
from collect.demo.teams import Roster, save_csv
from collect.jobs.states import State
from collect.storage import forms
from collect.testing.system import eventually
from rig import ORG, Rig, rig, say, told
from verbs import Try, once

TIMES = 10
SHIFT = 10
PREVIEWS = 5
TRIES = 100
TERMINATED = 20
SLOTS = 2
DONE = (State.SUCCEEDED, State.FAILED, State.PAUSED)


def file_id(rig_: Rig, roster: Roster) -> str:
    """The roster's file, sent; written once, into the folder for temporary files."""
    shift = roster.shift.get("manager_phone", 0)
    path = Path(tempfile.gettempdir()) / f"collect-bench-teams-{roster.first}-{roster.teams}-{shift}.csv"
    if not path.exists():
        save_csv(roster, path)
    return rig_.client.files.upload(path).id


def create(rig_: Rig, file_id_: str, *, mode: str = "create") -> str:
    return rig_.client.jobs.create("teams", {"file_id": file_id_, "mode": mode}, reason="bench").id


def run(rig_: Rig, roster: Roster, *, mode: str) -> str:
    """Run it to its end, and say how fast it was; the job's id."""
    job_id = create(rig_, file_id(rig_, roster), mode=mode)
    rig_.until(job_id, *DONE)
    assert rig_.state(job_id) is State.SUCCEEDED, rig_.client.jobs.get(job_id).status
    seconds = rig_.ran_seconds(job_id)
    say(
        f"{mode} {roster.teams:,} teams: {seconds:.1f} s, {roster.teams / seconds:,.0f} teams/s, "
        f"{seconds * 1000 / roster.teams:.3f} ms each"
    )
    return job_id


def undo(rig_: Rig, job_id: str) -> None:
    """Take it back, and say how fast that was beside making it."""
    teams, forward = rig_.written(job_id), rig_.ran_seconds(job_id)
    rig_.client.jobs.undo(job_id, reason="bench")
    seconds = rig_.until(job_id, State.UNDONE)
    say(f"… taken back: {seconds:.1f} s, {teams / seconds:,.0f} teams/s, {forward / seconds:.2f} of the forward speed")


def preview(rig_: Rig, roster: Roster, what: str, *, mode: str) -> None:
    """Seconds of a preview, from outside."""
    sent, seconds = file_id(rig_, roster), []
    for _ in range(PREVIEWS):
        began = time.monotonic()
        seen = rig_.client.jobs.preview("teams", {"file_id": sent, "mode": mode})
        seconds.append(time.monotonic() - began)
    told(f"preview of {roster.teams:,} teams, {what}", seconds, "s")
    say(f"… warnings: {', '.join(warning.code for warning in seen.warnings) or 'none'}")


def pauses(rig_: Rig, roster: Roster) -> None:
    """Pauses of a job at full speed, as many as it lasts, and as many jobs as it takes."""
    tries: list[Try] = []
    sent = file_id(rig_, roster)
    while len(tries) < TRIES:
        job_id = create(rig_, sent, mode="upsert")
        while len(tries) < TRIES and (one := once(rig_, job_id)) is not None:
            tries.append(one)
        if rig_.state(job_id) not in DONE:
            rig_.client.jobs.stop(job_id, reason="bench")
    told("at full speed, asked → in effect", [one.in_effect_ms for one in tries], "ms")
    told("at full speed, in effect → slots free", [one.slots_free_ms for one in tries], "ms")
    say(f"teams written after a pause was answered: {sum(one.rows_after for one in tries)}")


def terminations(rig_: Rig, roster: Roster) -> None:
    """Jobs at full speed, terminated after their first chunk."""
    in_effect: list[float] = []
    taken_back: list[float] = []
    sent = file_id(rig_, roster)
    for _ in range(TERMINATED):
        job_id = create(rig_, sent)
        eventually(partial(rig_.written, job_id), seconds=60, what="teams are written")
        action = rig_.client.jobs.terminate(job_id, reason="bench").last_action
        assert action is not None
        in_effect.append(action.latency_ms or 0)
        taken_back.append(rig_.until(job_id, State.TERMINATED) * 1000)
    told("terminate at full speed, asked → in effect", in_effect, "ms")
    told("… answered → all taken back", taken_back, "ms")


def main(*, rows: int = 10_000) -> None:
    with rig() as rig_:
        forms.ensure(rig_.db, survey.form(ORG))
        rig_.worker(kind="teams", slots=SLOTS)
        for teams in (rows, TIMES * rows):
            roster, slipped = Roster(teams=teams), Roster(teams=teams, shift={"manager_phone": SHIFT})
            if teams == rows:
                preview(rig_, roster, "none of them there", mode="create")
            made = run(rig_, roster, mode="create")
            if teams == rows:
                preview(rig_, slipped, "all of them there, managers slipped", mode="upsert")
            undo(rig_, run(rig_, slipped, mode="upsert"))
            undo(rig_, made)
        terminations(rig_, Roster(teams=rows))
        pauses(rig_, Roster(teams=TIMES * rows))
