"""Following a job until it is where the story wants it."""

from __future__ import annotations

import time
from collections.abc import Callable

from collect.api.jobs import Job
from collect.client import CollectClient
from collect.jobs.states import State
from story.telling import CheckFailed, Teller

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 120.0


class Watch:
    """Looks at a job again and again, and shows its progress."""

    def __init__(self, *, client: CollectClient, teller: Teller) -> None:
        self._client = client
        self._tell = teller

    def rested(self, job: Job, state: State) -> Job:
        """The job at rest.

        Raises:
            CheckFailed: it rests in another state.
        """
        seen = self.follow(job, lambda seen: seen.rests)
        told = f"job {job.id} {state.value}"
        if seen.state is not state:
            why = f" ({seen.reason.message})" if seen.reason else ""
            raise CheckFailed(f"{told}; it is {seen.state.value}{why}")
        self._tell.check(True, told)
        return seen

    def follow(self, job: Job, done: Callable[[Job], bool]) -> Job:
        """The job as soon as it is ``done``.

        Raises:
            CheckFailed: it is not within two minutes.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._tell.progress() as bar:
            while True:
                seen = self._client.jobs.get(job.id)
                bar.show(seen)
                if done(seen):
                    return seen
                if time.monotonic() > deadline:
                    raise CheckFailed(f"job {job.id} moves on; it is {seen.state.value}: {seen.status}")
                time.sleep(LOOK_SECONDS)  # a bar that moves ten times a second
