"""What a storm does and when, all of it drawn from one seed before it begins.

What depends on the state of things (which job a verb hits) is drawn as a number between 0 and 1, and resolved then.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count

from collect.jobs.states import Verb
from storm.files import Shape, Sheet, shapes
from storm.responses import FORMATS, WISHES
from storm.rosters import Roster, rosters

ORGANISATIONS = ("labs", "other")
DATASETS = ("baseline", "midline", "endline")
"""Each organisation has them, under the same names."""
GATEWAYS = 2
OF_FILES = frozenset({"upload", "teams"})
"""Kinds whose jobs read a file."""

CREATE_EVERY_SECONDS = 1.6
EXPORT_EVERY_SECONDS = 4.0
ENROL_EVERY_SECONDS = 3.0
CORRECT_EVERY_SECONDS = 1.5
VERB_EVERY_SECONDS = 0.35
FAULT_EVERY_SECONDS = (1.5, 5.0)
"""Starting again what was killed takes seconds of a processor: more often, and nothing would be left to be broken."""
QUIET_SECONDS = 4.0
"""Without faults, so that there is something to destroy."""

VERBS: dict[Verb, float] = {
    Verb.PAUSE: 5,
    Verb.RESUME: 7,
    Verb.STOP: 1.5,
    Verb.TERMINATE: 2.5,
    Verb.UNDO: 3,
    Verb.CONFIRM: 1,
    Verb.RESTART: 1.5,
}

FAULTS: dict[str, int] = {
    "kill_slot": 5,
    "kill_worker": 3,
    "kill_gateway": 2,
    "kill_monitor": 2,
    "freeze_worker": 3,
    "freeze_parent": 2,
    "freeze_slot": 2,
    "freeze_gateway": 1,
    "freeze_monitor": 1,
    "deploy_worker": 2,
    "deploy_gateway": 1,
    "deploy_monitor": 1,
    "deploy_in_haste": 1,
    "reset_amqp": 3,
    "hold_amqp": 2,
    "reset_mongodb": 2,
    "hold_mongodb": 2,
    "close_connections": 1,
    "purge_queue": 1,
    "stop_broker": 1,
    "kill_broker": 1,
    "step_down": 1,
    "kill_sessions": 2,
    "fail_commits": 2,
    "freeze_mongodb": 1,
    "kill_mongodb": 1,
    "flush_redis": 1,
    "freeze_redis": 1,
    "stop_redis": 1,
}
"""How often each lies in the pack from which they are dealt: after a pack every kind has happened."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that is done ``at`` so many seconds after the beginning."""

    n: int
    at: float

    @property
    def name(self) -> str:
        """How the act is called in the log, and in the audit of what it has caused."""
        return f"storm {self.n}"


@dataclass(frozen=True, kw_only=True)
class Sending(Act):
    """Ask for a job of a file. ``again``: the request is sent so many times at once, under one idempotency key.

    ``sheet``: which of the organisation's files of that kind.
    """

    org_id: str
    gateway: int
    sheet: int
    mode: str
    on_conflict: str
    pick: float
    names_holder: bool
    confirm: bool
    tolerant: bool
    rate: float | None
    priority: str
    fresh_file: bool
    again: int


@dataclass(frozen=True, kw_only=True)
class Create(Sending):
    """Ask for an upload into a dataset."""

    dataset: str


@dataclass(frozen=True, kw_only=True)
class Enrol(Sending):
    """Ask for teams."""


@dataclass(frozen=True, kw_only=True)
class Export(Act):
    """Ask for an export, maybe several times at once under one idempotency key."""

    org_id: str
    gateway: int
    format: str
    wish: int
    confirm: bool
    rate: float | None
    priority: str
    again: int


@dataclass(frozen=True, kw_only=True)
class Ask(Act):
    """A verb. ``sensible``: of a job whose state allows it; ``strange``: with the key of the other organisation."""

    org_id: str
    gateway: int
    verb: Verb
    pick: float
    sensible: bool
    strange: bool
    again: int
    until_seconds: float | None
    shape: int | None


@dataclass(frozen=True, kw_only=True)
class Correct(Act):
    """Correct a ``share`` of a job's rejected rows, some of them ``spoiled``; as a CSV, or as JSON.

    ``sensible``: of a job that allows it.
    """

    org_id: str
    gateway: int
    pick: float
    sensible: bool
    share: float
    spoiled: float
    as_csv: bool
    again: int


@dataclass(frozen=True, kw_only=True)
class Fault(Act):
    """Something breaks for so many seconds."""

    kind: str
    pick: float
    seconds: float
    one_way: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All acts in order of time."""

    seed: int
    seconds: float

    @cached_property
    def shapes(self) -> dict[str, list[Shape]]:
        """The files of each organisation."""
        rng = random.Random(f"{self.seed} files")
        return {org_id: shapes(rng, org_id=org_id) for org_id in ORGANISATIONS}

    @cached_property
    def rosters(self) -> dict[str, list[Roster]]:
        """The files of teams of each organisation."""
        rng = random.Random(f"{self.seed} rosters")
        return {org_id: rosters(rng, org_id=org_id) for org_id in ORGANISATIONS}

    def sheets(self, org_id: str, kind: str) -> Sequence[Sheet]:
        """The organisation's files for jobs of this kind."""
        return self.rosters[org_id] if kind == "teams" else self.shapes[org_id]

    @cached_property
    def acts(self) -> list[Act]:
        rng = random.Random(self.seed)
        found: list[Act] = []
        numbers = count()
        for make, times in (
            (self._create, _poisson(rng, CREATE_EVERY_SECONDS, self.seconds)),
            (_ask, _poisson(rng, VERB_EVERY_SECONDS, self.seconds)),
            (partial(_fault, pack=_dealt(rng)), _between(rng, FAULT_EVERY_SECONDS, self.seconds)),
        ):
            found.extend(make(rng, next(numbers), at) for at in times)
        rng = random.Random(f"{self.seed} exports")  # of their own, so that they leave the other acts as they are
        found.extend(_export(rng, next(numbers), at) for at in _poisson(rng, EXPORT_EVERY_SECONDS, self.seconds))
        rng = random.Random(f"{self.seed} teams")
        found.extend(self._enrol(rng, next(numbers), at) for at in _poisson(rng, ENROL_EVERY_SECONDS, self.seconds))
        rng = random.Random(f"{self.seed} corrections")
        found.extend(_correct(rng, next(numbers), at) for at in _poisson(rng, CORRECT_EVERY_SECONDS, self.seconds))
        return sorted(found, key=lambda act: act.at)

    def _create(self, rng: random.Random, n: int, at: float) -> Create:
        org_id = rng.choice(ORGANISATIONS)
        return Create(
            n=n,
            at=at,
            org_id=org_id,
            gateway=rng.randrange(GATEWAYS),
            sheet=rng.randrange(len(self.shapes[org_id])),
            dataset=rng.choice(DATASETS),
            mode=rng.choice(("insert", "upsert")),
            on_conflict=rng.choices(("reject", "queue", "supersede"), weights=(2, 4, 2))[0],
            pick=rng.random(),
            names_holder=rng.random() < 0.5,
            confirm=rng.random() < 0.15,
            tolerant=rng.random() < 0.6,
            rate=rng.choice((None, None, 2_000.0, 8_000.0)),
            priority=rng.choice(("low", "normal", "high")),
            fresh_file=rng.random() < 0.3,
            again=rng.choice((1, 1, 1, 2)),
        )

    def _enrol(self, rng: random.Random, n: int, at: float) -> Enrol:
        org_id = rng.choice(ORGANISATIONS)
        return Enrol(
            n=n,
            at=at,
            org_id=org_id,
            gateway=rng.randrange(GATEWAYS),
            sheet=rng.randrange(len(self.rosters[org_id])),
            mode=rng.choice(("create", "upsert", "upsert")),
            on_conflict=rng.choices(("reject", "queue", "supersede"), weights=(2, 5, 2))[0],
            pick=rng.random(),
            names_holder=rng.random() < 0.5,
            confirm=rng.random() < 0.1,
            tolerant=rng.random() < 0.8,
            rate=rng.choice((None, None, 600.0, 2_000.0)),
            priority=rng.choice(("low", "normal", "high")),
            fresh_file=rng.random() < 0.3,
            again=rng.choice((1, 1, 1, 2)),
        )


def _export(rng: random.Random, n: int, at: float) -> Export:
    return Export(
        n=n,
        at=at,
        org_id=rng.choice(ORGANISATIONS),
        gateway=rng.randrange(GATEWAYS),
        format=rng.choice(FORMATS),
        wish=rng.randrange(len(WISHES)),
        confirm=rng.random() < 0.1,
        rate=rng.choice((None, None, 5_000.0, 20_000.0)),
        priority=rng.choice(("low", "normal", "high")),
        again=rng.choice((1, 1, 1, 2)),
    )


def _correct(rng: random.Random, n: int, at: float) -> Correct:
    return Correct(
        n=n,
        at=at,
        org_id=rng.choice(ORGANISATIONS),
        gateway=rng.randrange(GATEWAYS),
        pick=rng.random(),
        sensible=rng.random() < 0.85,
        share=rng.choice((0.1, 0.5, 1.0)),
        spoiled=rng.choice((0.0, 0.0, 0.3)),
        as_csv=rng.random() < 0.4,
        again=rng.choice((1, 1, 1, 2)),
    )


def _ask(rng: random.Random, n: int, at: float) -> Ask:
    verb = rng.choices(list(VERBS), weights=list(VERBS.values()))[0]
    return Ask(
        n=n,
        at=at,
        org_id=rng.choice(ORGANISATIONS),
        gateway=rng.randrange(GATEWAYS),
        verb=verb,
        pick=rng.random(),
        sensible=rng.random() < 0.8,
        strange=rng.random() < 0.03,
        again=rng.choice((1, 1, 1, 2, 3)),
        until_seconds=rng.choice((None, None, None, rng.uniform(0.5, 5))),
        shape=rng.randrange(100) if rng.random() < 0.5 else None,
    )


def _fault(rng: random.Random, n: int, at: float, *, pack: Iterator[str]) -> Fault:
    return Fault(
        n=n,
        at=at + QUIET_SECONDS,
        kind=next(pack),
        pick=rng.random(),
        seconds=rng.uniform(1.0, 7.0),
        one_way=rng.random() < 0.3,
    )


def _dealt(rng: random.Random) -> Iterator[str]:
    while True:
        pack = [kind for kind, times in FAULTS.items() for _ in range(times)]
        rng.shuffle(pack)
        yield from pack


def _poisson(rng: random.Random, every_seconds: float, seconds: float) -> Iterator[float]:
    at = rng.expovariate(1 / every_seconds)
    while at < seconds:
        yield at
        at += rng.expovariate(1 / every_seconds)


def _between(rng: random.Random, every_seconds: tuple[float, float], seconds: float) -> Iterator[float]:
    at = rng.uniform(*every_seconds)
    while at < seconds - QUIET_SECONDS:
        yield at
        at += rng.uniform(*every_seconds)
