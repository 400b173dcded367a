"""Cores that are shared alike, and the clock of a simulation."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

Act = Callable[[], None]


class Station:
    """So many cores, shared alike by what runs on them: processor sharing, with nothing faster than one core.

    ``contention`` is the share of its speed that each takes from each other one (caches, locks, latches): with n at
    once everything runs ``1 + contention × (n − 1)`` times slower, the first term of Gunther's law of scalability.
    """

    def __init__(self, *, cores: float, contention: float = 0.0) -> None:
        self.cores = cores
        self.busy_seconds = 0.0
        """Of cores, contention included: what an operator sees as their use."""
        self._contention = contention
        self._virtual = 0.0
        self._at = 0.0
        self._numbers = itertools.count()
        self._acts: list[tuple[float, int, Act]] = []

    def begin(self, now: float, *, seconds: float, then: Act) -> None:
        """Work of so many seconds of one core that nobody else uses; ``then`` is called when it is done."""
        self._pass(now)
        heapq.heappush(self._acts, (self._virtual + seconds, next(self._numbers), then))

    def next_at(self) -> float:
        """When the next work is done, if nothing is begun until then."""
        return self._at + (self._acts[0][0] - self._virtual) / self._speed() if self._acts else math.inf

    def take(self, now: float) -> Act:
        """What follows from the work that is done at ``now``."""
        self._pass(now)
        return heapq.heappop(self._acts)[2]

    def _speed(self) -> float:
        n = len(self._acts)
        return min(1.0, self.cores / n) / (1.0 + self._contention * (n - 1)) if n else 0.0

    def _pass(self, now: float) -> None:
        self._virtual += (now - self._at) * self._speed()
        self.busy_seconds += (now - self._at) * min(float(len(self._acts)), self.cores)
        self._at = now


class Clock:
    """The simulation's time: moves from one event to the next, in the order in which they were set."""

    def __init__(self, stations: list[Station]) -> None:
        self.now = 0.0
        self._stations = stations
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, Act]] = []

    def after(self, seconds: float, act: Act) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._numbers), act))

    def run(self, *, until: Callable[[], bool], seconds: float) -> None:
        """Until the condition holds, or so much time has passed, or nothing is left to happen."""
        while not until():
            timer = self._timers[0][0] if self._timers else math.inf
            station = min(self._stations, key=Station.next_at)
            at = min(timer, station.next_at())
            if at > seconds or math.isinf(at):
                return
            self.now = max(self.now, at)
            act = heapq.heappop(self._timers)[2] if timer <= station.next_at() else station.take(self.now)
            act()
