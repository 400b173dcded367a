"""What the demo says, and how it fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from collect.api.jobs import Job
from collect.client.cli.speed import Speed
from collect.client.cli.watching import sentence

LINE_SECONDS = 1.0


class CheckFailed(Exception):
    """Something is not as the story says that it is."""


class Teller:
    """Says what happens; checks are part of it. On a terminal progress is a bar, elsewhere a line a second."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self._act = 0

    def act(self, title: str) -> None:
        """A new part of the story."""
        self._act += 1
        self._console.print()
        self._console.print(Text(f"{self._act}. {title}", style="bold"))

    def say(self, words: str) -> None:
        self._console.print(Text(f"   {words}"))

    def fact(self, name: str, value: object) -> None:
        """A name and what was measured or counted for it."""
        self._console.print(Text.assemble("   ", (f"{name:<28}", "cyan"), str(value)))

    def check(self, holds: bool, claim: str) -> None:
        """Say that the claim holds, or end the demo because it does not.

        Raises:
            CheckFailed: it does not hold.
        """
        if not holds:
            raise CheckFailed(claim)
        self._console.print(Text.assemble("   ", ("✓ ", "green"), claim))

    def failed(self, words: str) -> None:
        self._console.print(Text.assemble(("✗ Not as it should be: ", "bold red"), words))

    def finish(self, lines: list[str]) -> None:
        self._console.print()
        seconds = time.monotonic() - self._started
        self._console.print(Text(f"Every check held. The story took {seconds:.0f} s.", style="bold green"))
        for line in lines:
            self._console.print(Text(line))

    @contextmanager
    def progress(self) -> Iterator[JobBar]:
        """Where a job's progress is shown while it lasts."""
        bar = JobBar(self._console)
        try:
            yield bar
        finally:
            bar.close()


class JobBar:
    """The progress of one job."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._speed = Speed()
        self._told_at = 0.0
        self._progress: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("  "), BarColumn(bar_width=40), TextColumn("{task.description}"))
            self._progress = Progress(*columns, console=console, transient=False)
            self._task = self._progress.add_task("", total=None)
            self._progress.start()

    def show(self, job: Job) -> None:
        now = time.monotonic()
        self._speed.see(now, job.progress.done)
        words = sentence(job, self._speed)
        if self._progress is not None:
            done, total = job.progress.done, job.progress.total
            self._progress.update(self._task, completed=done, total=total, description=words)
        elif now - self._told_at >= LINE_SECONDS:
            self._told_at = now
            self._console.print(Text(f"   {words}"))

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()


def clock(at: datetime | None) -> str:
    """The time of day, to the millisecond."""
    return "not known" if at is None else at.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
