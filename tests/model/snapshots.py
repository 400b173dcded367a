"""Transactions in two steps, begin and commit, as snapshot isolation has them, so that write skew shows.

A transaction reads the stores as they were when it began; it commits unless a document that it writes has been written
by another since. What two transactions only read, they do not notice of each other.
"""

from collections.abc import Callable, Iterator

from model.stores import Database
from model.system import System, after_its, answered, apply
from model.verbs import OF_THE_NEIGHBOUR
from model.world import OpenTransaction, Scenario, Transaction, World, seated

_OF_PLANNING = ("planned some", "planned alone", "planned")


class SnapshotSystem(System):
    """``feeding_writes_the_job`` and ``handing_over_writes_the_job`` are rules of the protocol that can be left out,
    to see what they are for."""

    def __init__(
        self, scenario: Scenario, *, feeding_writes_the_job: bool = True, handing_over_writes_the_job: bool = True
    ) -> None:
        super().__init__(scenario)
        self._feeding_writes = feeding_writes_the_job
        self._handing_over_writes = handing_over_writes_the_job

    def moves(self, world: World) -> Iterator[tuple[str, bool, World]]:
        for this in world.open:
            yield self._end(world, this)
        yield from super().moves(world)

    def run(
        self, world: World, actor: str, transaction: Transaction, then: Callable[[World], World]
    ) -> Iterator[World]:
        """Begin, if it would be possible now."""
        if apply(world.db, transaction, self.scenario) is not None:
            begun = OpenTransaction(actor, world.db, transaction)
            yield world._replace(open=tuple(sorted((*world.open, begun), key=lambda this: this.actor)))

    def _end(self, world: World, this: OpenTransaction) -> tuple[str, bool, World]:
        rest = tuple(other for other in world.open if other != this)
        name = f"{this.transaction.name} {this.transaction.verb}".strip()
        after = None if this.doomed else self._committed(world.db, this)
        if after is None:
            again = (this.transaction.verb,) if this.transaction.verb else ()
            aborted = world._replace(open=rest, asked=tuple(sorted((*world.asked, *again))))
            return f"{name} by {this.actor} aborts", True, aborted
        if _writes_the_job(this.transaction) or self._writes_the_job_silently(this, after):
            rest = tuple(other._replace(doomed=other.doomed or _writes_the_job(other.transaction)) for other in rest)
        return f"{name} by {this.actor} commits", True, self._followed(world._replace(db=after, open=rest), this)

    def _followed(self, world: World, this: OpenTransaction) -> World:
        verb, number = this.transaction.verb, this.transaction.worker
        if verb:
            return answered(world, verb, this.snapshot.job.state)
        worker = world.workers[number] if number >= 0 else None
        if worker is None or (worker.part, worker.epoch) != (this.transaction.part, this.transaction.epoch):
            return world
        return seated(world, number, after_its(this.transaction, worker))

    def _writes_the_job_silently(self, this: OpenTransaction, after: Database) -> bool:
        """The job's document is written although nothing in it that the model knows has changed."""
        if this.transaction.name == "publish_parts":
            return self._feeding_writes
        handed_over = after.line[:1] == (0,) and this.snapshot.line[:1] != (0,)
        return handed_over and self._handing_over_writes

    def _committed(self, now: Database, this: OpenTransaction) -> Database | None:
        """First committer wins, document by document."""
        old = this.snapshot
        new = apply(old, this.transaction, self.scenario)
        if new is None:
            return None
        writes_job = new.job != old.job or _writes_the_job(this.transaction) or self._writes_the_job_silently(this, new)
        writes_line = new.line != old.line
        writes_neighbour = (new.neighbour, new.starts) != (old.neighbour, old.starts)
        conflict = (
            (writes_job and now.job != old.job)
            or (writes_line and now.line != old.line)
            or (writes_neighbour and (now.neighbour, now.starts) != (old.neighbour, old.starts))
        )
        merged = []
        for n, part in enumerate(now.parts):
            before, after = (old.parts[n], new.parts[n]) if n < len(old.parts) else (part, part)
            conflict = conflict or (after != before and part != before)
            merged.append(after if after != before else part)
        if conflict or (len(new.parts) > len(old.parts) and len(now.parts) > len(old.parts)):
            return None
        merged += new.parts[len(merged) :]
        return Database(
            job=new.job if writes_job else now.job,
            line=new.line if writes_line else now.line,
            neighbour=new.neighbour if writes_neighbour else now.neighbour,
            starts=new.starts if writes_neighbour else now.starts,
            parts=tuple(merged),
            outbox=new.outbox,
        )


def _writes_the_job(transaction: Transaction) -> bool:
    if transaction.name == "verb":
        return transaction.verb not in OF_THE_NEIGHBOUR
    return transaction.name in (*_OF_PLANNING, "part done", "finished", "poison", "refused", "reaped as poison")
