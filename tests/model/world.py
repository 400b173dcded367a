"""The state that is explored: the stores, and workers, queue and open transactions around them."""

from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from model.stores import Database

T = TypeVar("T")


class Delivered(NamedTuple):
    """A message in the queue or in a worker's hands."""

    part: int
    ticket: int
    redelivered: bool = False


class Worker(NamedTuple):
    """What one worker does. ``message``: the delivery that it still has to acknowledge, unless the channel is gone."""

    doing: str
    """``delivered``, ``working``, ``acking``"""
    part: int
    message: Delivered | None
    epoch: int = 0
    progressed: bool = False


class Budget(NamedTuple):
    """How often each thing may still go wrong."""

    crashes: int = 0
    duplicates: int = 0
    losses: int = 0
    zombies: int = 0
    channels: int = 0
    drains: int = 0
    feeds: int = 0
    refusals: int = 0
    """A plan that comes upon something with which the file cannot be run."""


class World(NamedTuple):
    """Everything. ``asked``: the verbs that people may still ask; ``answered``: those whose effect must stand."""

    db: Database
    queue: tuple[Delivered, ...]
    workers: tuple[Worker | None, ...]
    budget: Budget
    asked: tuple[str, ...]
    answered: frozenset[str] = frozenset()
    open: "tuple[OpenTransaction, ...]" = ()


class Transaction(NamedTuple):
    """A named transaction, so that it can be run on another database than the one it began on."""

    name: str
    part: int = 0
    epoch: int = 0
    worker: int = -1
    verb: str = ""


class OpenTransaction(NamedTuple):
    """Begun on a snapshot, not committed yet. ``doomed``: what it writes has been written by another."""

    actor: str
    snapshot: Database
    transaction: Transaction
    doomed: bool = False


NOTHING_GOES_WRONG = Budget()
GOES_ON = ("planned some", "planned alone")
"""Transactions after which their worker still owns its part."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is explored: so many parts of so many chunks, so much that goes wrong, these verbs at any moment."""

    parts: int = 1
    chunks: int = 1
    window: int = 2
    verbs: tuple[str, ...] = ()
    budget: Budget = NOTHING_GOES_WRONG
    waits: bool = False
    """Job 0 waits behind job 1."""
    workers: int = 2


def tidy(world: World) -> World:
    """The same world, written in one way only, so that fewer states are told apart.

    The outbox is part of the queue, since a delay is a delay; a message that can never claim is dropped; and the line
    of the queue does not matter.
    """
    queue = (*world.queue, *(Delivered(*message) for message in world.db.outbox))
    db = world.db._replace(outbox=())
    kept = tuple(sorted(message for message in queue if _can_claim(db, message)))
    workers = tuple(
        None if worker and worker.doing == "delivered" and worker.message and not _can_claim(db, worker.message)
        else worker
        for worker in world.workers
    )  # fmt: skip
    return world._replace(db=db, queue=kept, workers=workers)


def _can_claim(db: Database, message: Delivered) -> bool:
    part = db.parts[message.part]
    return part.out and part.ticket == message.ticket


def on_its_way(world: World, n: int, ticket: int) -> bool:
    waiting = [worker.message for worker in world.workers if worker and worker.doing == "delivered"]
    return any(m is not None and (m.part, m.ticket) == (n, ticket) for m in [*world.queue, *waiting])


def seated(world: World, number: int, worker: Worker | None) -> World:
    return world._replace(workers=(*world.workers[:number], worker, *world.workers[number + 1 :]))


def spent(world: World, what: str) -> World:
    return world._replace(budget=world.budget._replace(**{what: getattr(world.budget, what) - 1}))


def without(items: tuple[T, ...], item: T) -> tuple[T, ...]:
    at = items.index(item)
    return (*items[:at], *items[at + 1 :])
