"""Follows a job on a terminal: a progress bar, and keys that control the job."""

from __future__ import annotations

import time
from collections.abc import Callable

import click
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from collect.api.jobs import Job
from collect.client.cli import words
from collect.client.cli.console import Shell
from collect.client.cli.keyboard import Keyboard
from collect.client.cli.speed import Speed, clock_face
from collect.client.errors import Refused
from collect.client.jobs import is_at

LOOK_SECONDS = 0.25
DEFAULT_REASON = "From the command line"
VERBS = {"p": "pause", "r": "resume", "s": "stop", "t": "terminate"}
KEYS = "p pause · r resume · s stop · t terminate · q leave it running"


class Live:
    """A live view of one job. ``verb``: the last verb that was sent with a key. ``left``: the user pressed q."""

    def __init__(self, *, shell: Shell, job_id: str, until: str, reason: str | None) -> None:
        self._shell = shell
        self._job_id = job_id
        self._until = until
        self._reason = reason
        self._speed = Speed()
        self._bar = Progress(
            TextColumn("[bold]{task.fields[state]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[rows]}"),
            TextColumn("{task.fields[rate]}"),
            console=shell.err,
            transient=True,
            expand=True,
        )
        self.verb: str | None = None
        self.left = False

    def run(self) -> Job:
        """Block until the job is at ``until``, or until the user presses q. Returns the job."""
        job = self._look()
        self._shell.say(f"{KEYS}")
        with Keyboard() as keyboard:
            task = self._bar.add_task("", total=None, state="", rows="", rate="")
            self._bar.start()
            try:
                while not is_at(job, self._until) and not self.left:
                    self._draw(task, job)
                    self._pressed(keyboard, keyboard.key(LOOK_SECONDS))
                    job = self._look()
            finally:
                self._bar.stop()
        return job

    def _look(self) -> Job:
        job = self._shell.client.jobs.get(self._job_id)
        self._speed.see(time.monotonic(), job.progress.done)
        return job

    def _draw(self, task: TaskID, job: Job) -> None:
        progress = job.progress
        total = "?" if progress.total is None else f"{progress.total:,}"
        left = clock_face(None if job.rests else self._speed.seconds_left(progress))
        self._bar.update(
            task,
            total=progress.total,
            completed=progress.done,
            state=job.state.value,
            rows=f"{progress.done:,} of {total} rows, {progress.rejected:,} rejected",
            rate=f"{self._speed.rows_per_second:,.0f} rows/s, {left} left",
        )

    def _pressed(self, keyboard: Keyboard, key: str | None) -> None:
        if key == "q":
            self.left = True
        elif key in VERBS:
            self._bar.stop()
            with keyboard.cooked():
                self._control(VERBS[key])
            self._bar.start()

    def _control(self, verb: str) -> None:
        jobs = self._shell.client.jobs
        if self._reason is None:
            self._reason = click.prompt("Reason", default=DEFAULT_REASON, err=True)
        asks: dict[str, Callable[..., Job]] = {
            "pause": jobs.pause,
            "resume": jobs.resume,
            "stop": jobs.stop,
            "terminate": jobs.terminate,
        }
        try:
            if verb == "terminate" and not self._agreed():
                return
            job = asks[verb](self._job_id, reason=self._reason)
        except Refused as refusal:
            self._shell.complain(refusal)
            return
        self.verb = None if verb == "resume" else verb
        if job.last_action is not None:
            self._shell.say(words.action(job.last_action))

    def _agreed(self) -> bool:
        found = self._shell.client.jobs.will_undo(self._job_id, "terminate")
        self._shell.say(words.will_undo(found))
        return click.confirm("Terminate?", err=True)
