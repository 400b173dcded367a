"""The command `watch`, and following a job: a live bar with keys on a terminal, lines elsewhere."""

from __future__ import annotations

import time

import click

from collect.api.jobs import Job
from collect.client.cli import exits, words
from collect.client.cli.console import Shell, json_option, pass_shell
from collect.client.cli.live import DEFAULT_REASON, Live
from collect.client.cli.speed import Speed, clock_face
from collect.client.jobs import is_at
from collect.jobs.states import TAKING_BACK

LOOK_SECONDS = 1.0
LINE_SECONDS = 2.0


@click.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "--until",
    type=click.Choice(["rest", "final"]),
    help="rest: also return when it is paused (default without a terminal); final: only when it has ended.",
)
@click.option("--reason", help=f"The reason given with p, r, s and t; otherwise asked for once ({DEFAULT_REASON!r}).")
@json_option
@pass_shell
def watch(shell: Shell, job_id: str, until: str | None, reason: str | None) -> int:
    """Follow a job until it ends.

    On a terminal, keys control it: p pause, r resume, s stop, t terminate (asks first), q leave it running. With
    --json, a line for each change.
    """
    if shell.interactive:
        live = Live(shell=shell, job_id=job_id, until=until or "final", reason=reason)
        job = live.run()
        verb = live.verb or _verb_under_way(job)
        if live.left:
            return exits.Exit.OK
    else:
        verb = _verb_under_way(shell.client.jobs.get(job_id))
        job = follow(shell, job_id, until=until or "rest", lines=shell.machine)
    if not shell.machine:
        words.job(shell, job)
    return exits.of_job(job, verb=verb)


def follow(shell: Shell, job_id: str, *, until: str, lines: bool) -> Job:
    """Block until the job is at ``until``, and return it. Shows its progress meanwhile.

    The progress is a bar on a terminal and messages elsewhere; with ``lines`` it is a JSON line for each change.
    """
    if shell.interactive:
        live = Live(shell=shell, job_id=job_id, until=until, reason=None)
        return live.run()
    teller = _Teller(shell, lines=lines)
    while True:
        job = shell.client.jobs.look(job_id, until, seconds=LOOK_SECONDS)
        done = is_at(job, until)
        teller.tell(job, time.monotonic(), last=done)
        if done:
            return job


class _Teller:
    """A printer of a job's progress: each change of state at once, other changes every ``LINE_SECONDS``."""

    def __init__(self, shell: Shell, *, lines: bool) -> None:
        self._shell = shell
        self._lines = lines
        self._speed = Speed()
        self._told: tuple[object, ...] | None = None
        self._at = 0.0

    def tell(self, job: Job, at: float, *, last: bool) -> None:
        self._speed.see(at, job.progress.done)
        news = (job.state, job.progress.done, job.progress.undone, job.progress.total, job.waiting_for)
        changed = self._told is None or news[0] != self._told[0]
        if news == self._told or not (changed or last or at - self._at >= LINE_SECONDS):
            return
        self._told, self._at = news, at
        if self._lines:
            self._shell.line(job)
        elif not self._shell.machine:
            self._shell.say(sentence(job, self._speed))


def sentence(job: Job, speed: Speed) -> str:
    """Return one line about the progress of a job."""
    if not job.progress.total or job.rests:
        return job.status or job.state.value
    rate = f"{speed.rows_per_second:,.0f} rows/s, {clock_face(speed.seconds_left(job.progress))} left"
    return f"{job.state.value}: {job.progress.done:,} of {job.progress.total:,} rows, {rate}"


def _verb_under_way(job: Job) -> str | None:
    """Return the verb (terminate or undo) by which a job is being taken back, or was; ``None`` for other jobs."""
    taking_back = job.state in TAKING_BACK and job.last_action is not None
    return job.last_action.verb if taking_back and job.last_action else None


COMMANDS: tuple[click.Command, ...] = (watch,)
