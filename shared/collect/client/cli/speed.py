"""The present speed of a job, measured by its progress of the last seconds."""

from __future__ import annotations

from collections import deque

from collect.api.jobs import Progress

WINDOW_SECONDS = 5.0


class Speed:
    """A measure of rows per second over the last five seconds. The server's average includes pauses."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, at: float, done: int) -> None:
        """Note how many rows were done at time ``at``, in seconds of a monotonic clock."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at, done))
        while len(self._seen) > 2 and at - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def rows_per_second(self) -> float:
        """The speed. 0 until the number of rows has changed."""
        if len(self._seen) < 2:
            return 0.0
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end > start else 0.0

    def seconds_left(self, progress: Progress) -> float | None:
        """Return the seconds until the last row at this speed; the server's own estimate while the speed is 0."""
        rate = self.rows_per_second
        if progress.total is None or rate <= 0:
            return progress.seconds_left
        return (progress.total - progress.done) / rate


def clock_face(seconds: float | None) -> str:
    """Return the seconds as ``1:02:03`` or ``2:03``; ``-:--`` for ``None``."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
