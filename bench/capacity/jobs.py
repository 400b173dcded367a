"""What a simulation is about: where it runs, what is asked for, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from capacity.costs import DEFAULT_WINDOW


@dataclass(frozen=True, kw_only=True)
class Place:
    """Slots, the cores that they share, and those of the database. ``together``: all of it shares ``cores``."""

    slots: int
    cores: float
    database_cores: float = 0.0
    together: bool = False
    spare: int = 1
    """Parts of each job that wait beside those that have a slot (`collect.storage.upkeep.set_windows`)."""
    contention: float = 0.0
    """Of the database's cores, or of the machine's when they are shared."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A job that is asked for."""

    at: float
    rows: int
    name: str = "job"


@dataclass(kw_only=True, eq=False)
class Part:
    """A range of a job. Part 0 plans and finishes; alone, it has the rows as well."""

    job: Job
    n: int
    rows: int
    phase: str = "run"
    done: int = 0
    out: bool = False

    @property
    def waits(self) -> bool:
        """Whether it has something to do and is not out."""
        left = self.done < self.rows if self.phase == "run" else self.phase == "plan" and not self.job.is_planned
        return left and not self.out


@dataclass(kw_only=True, eq=False)
class Job:
    """A job under way, and what became of it."""

    arrival: Arrival
    parts: list[Part] = field(default_factory=list)
    planned: int = 0
    window: int = DEFAULT_WINDOW
    rows_done: int = 0
    first_at: float = math.inf
    """When its first chunk was committed."""
    ended_at: float = math.inf

    @property
    def waited(self) -> float:
        """From the request to the first chunk."""
        return self.first_at - self.arrival.at

    @property
    def took(self) -> float:
        """From the request to the end."""
        return self.ended_at - self.arrival.at

    @property
    def is_planned(self) -> bool:
        return self.planned >= self.arrival.rows

    @property
    def is_written(self) -> bool:
        return self.is_planned and self.rows_done >= self.arrival.rows


@dataclass(kw_only=True, eq=False)
class Held:
    """A slot's time with one part."""

    slot: int
    job: Job
    n: int
    asked: float
    """When its message was published."""
    began: float
    ended: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has shown."""

    jobs: Sequence[Job]
    held: Sequence[Held]
    seconds: float
    database_use: float
    """The share of its cores that the database, or the machine that is shared, was busy."""

    @property
    def queue_seconds(self) -> list[float]:
        """How long each message waited for its slot."""
        return [held.began - held.asked for held in self.held]

    @property
    def rows(self) -> int:
        return sum(job.rows_done for job in self.jobs)

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    def named(self, name: str) -> list[Job]:
        return [job for job in self.jobs if job.arrival.name == name]
