"""Workers, queue, monitor and people around the stores: all that can happen, with what may go wrong bounded.

Transactions are atomic here; `snapshots` splits them into begin and commit.
"""

from collections.abc import Callable, Iterator

from model.explorer import Step
from model.stores import (
    ACTIVE,
    FINAL,
    MAX_LOSSES,
    PLANNER,
    RESTS,
    STARTED,
    Database,
    Job,
    Neighbour,
    Part,
    Phase,
    Status,
    fail,
    finished,
    mine,
    part_done,
    planned,
    planned_alone,
    planned_some,
    publish_parts,
    reaped,
    released,
    unmade,
    with_part,
)
from model.verbs import OF_THE_NEIGHBOUR, TAKING_BACK, VERBS
from model.world import (
    GOES_ON,
    Delivered,
    Scenario,
    Transaction,
    Worker,
    World,
    on_its_way,
    seated,
    spent,
    tidy,
    without,
)


class System:
    """The model of one scenario, for the explorer."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def start(self) -> World:
        scenario = self.scenario
        run = Part(Status.UNMADE, Phase.RUN, effects=(0,) * scenario.chunks)
        db = Database(
            job=Job("queued", parts_left=PLANNER),
            line=(1, 0) if scenario.waits else (0,),
            neighbour=Neighbour.STARTED if scenario.waits else Neighbour.NONE,
            starts=1 if scenario.waits else 0,
            parts=(Part(Status.IDLE, Phase.PLAN), *(run,) * scenario.parts),
        )
        workers = (None,) * scenario.workers
        return World(publish_parts(db, scenario.window), (), workers, scenario.budget, tuple(sorted(scenario.verbs)))

    # Promises.

    def broken(self, world: World) -> str | None:
        db = world.db
        out = [n for n, part in enumerate(db.parts) if part.out]
        left = any(any(part.effects) for part in db.parts) or db.job.result
        if any(effect not in (0, 1) for part in db.parts for effect in part.effects):
            return "a chunk is written once"
        if db.job.state not in ACTIVE and out:
            return f"nothing of a job that is {db.job.state} can be claimed or is held"
        if db.job.state in ("terminated", "undone") and left:
            return "everything is taken back"
        if db.job.state == "succeeded" and (
            not db.job.result or unmade(db) or any(effect != 1 for part in _made(db) for effect in part.effects)
        ):
            return "a job that has succeeded wrote everything"
        if len(out) > self.scenario.window + bool(self.scenario.budget.feeds):
            return "no more parts are out than the window allows"
        return self._broken_count(db) or self._broken_answer(world) or self._broken_lock(db, out)

    def _broken_count(self, db: Database) -> str | None:
        if db.job.parts_left != sum(_is_to_go(part) for part in db.parts):
            return "the job knows how many parts are to go"
        return None

    def _broken_answer(self, world: World) -> str | None:
        state, answered = world.db.job.state, world.answered
        if "terminate" in answered and state in ("succeeded", "stopped", "failed", *STARTED):
            return "a terminate that was answered stands"
        overruled = answered & {"terminate", *TAKING_BACK}
        if "stop" in answered and not overruled and state in ("succeeded", "failed", *STARTED):
            return "a stop that was answered stands"
        return None

    def _broken_lock(self, db: Database, out: list[int]) -> str | None:
        if db.starts > 1:
            return "the lock is handed over once"
        if db.neighbour is Neighbour.STARTED:
            if db.line[:1] != (1,):
                return "who runs holds the lock"
            if out or db.job.state in ("running", "terminating", "undoing"):
                return "a dataset has one holder"
        return None

    def restless(self, world: World) -> str | None:
        db = world.db
        if db.job.state not in RESTS and not (db.job.state == "queued" and db.line[:1] == (1,)):
            return f"a job never stays {db.job.state}"
        if db.neighbour is Neighbour.WAITING and not (0 in db.line and db.job.state in ("paused", "undo_failed")):
            return "who waits is let in when the holder has ended"
        if not db.line and db.job.state in ("queued", "paused"):
            return "who is not done keeps its place"
        return None

    # What happens.

    def steps(self, world: World) -> Iterator[Step[World]]:
        for label, by_system, after in self.moves(world):
            yield Step(label, by_system, tidy(after), _final_state_left(world, after, label))

    def moves(self, world: World) -> Iterator[tuple[str, bool, World]]:
        yield from self._messages(world)
        for number, worker in enumerate(world.workers):
            if worker is not None:
                yield from self._worker(world, number, worker)
        yield from self._monitor(world)
        yield from self._people(world)

    def run(
        self, world: World, actor: str, transaction: Transaction, then: Callable[[World], World]
    ) -> Iterator[World]:
        """The world after the transaction, if it is possible. Atomic here."""
        db = apply(world.db, transaction, self.scenario)
        if db is not None:
            yield then(world._replace(db=db))

    def is_busy(self, world: World, actor: str) -> bool:
        """Whether the actor has a transaction open."""
        return any(this.actor == actor for this in world.open)

    def _messages(self, world: World) -> Iterator[tuple[str, bool, World]]:
        for message in sorted(set(world.queue)):
            if world.budget.duplicates:
                twin = message._replace(redelivered=False)
                doubled = spent(world, "duplicates")._replace(queue=(*world.queue, twin))
                yield f"{message} is doubled", False, doubled
            rest = without(world.queue, message)
            if world.budget.losses:
                yield f"{message} is lost", False, spent(world, "losses")._replace(queue=rest)
            if None in world.workers:
                number = world.workers.index(None)
                taken = Worker("delivered", message.part, message)
                yield f"{message} goes to worker {number}", True, seated(world._replace(queue=rest), number, taken)

    def _worker(self, world: World, number: int, worker: Worker) -> Iterator[tuple[str, bool, World]]:
        back = (worker.message._replace(redelivered=True),) if worker.message else ()
        if world.budget.crashes:
            crashed = seated(spent(world, "crashes"), number, None)
            still_open = tuple(this for this in world.open if this.actor != f"worker {number}")
            yield f"worker {number} crashes", False, crashed._replace(queue=(*world.queue, *back), open=still_open)
        if self.is_busy(world, f"worker {number}"):
            return
        if world.budget.channels and worker.message:
            alive = None if worker.doing == "delivered" else worker._replace(message=None)
            parted = seated(spent(world, "channels"), number, alive)
            yield f"worker {number} loses its channel", False, parted._replace(queue=(*world.queue, *back))
        match worker.doing:
            case "delivered":
                yield self._claim(world, number, worker)
            case "acking":
                yield f"worker {number} acks", True, seated(world, number, None)
            case _ if not mine(world.db, number, worker.part, worker.epoch):
                yield f"worker {number} is fenced", True, seated(world, number, worker._replace(doing="acking"))
            case _:
                yield from self._work(world, number, worker)

    def _claim(self, world: World, number: int, worker: Worker) -> tuple[str, bool, World]:
        message, part = worker.message, world.db.parts[worker.part]
        assert message is not None
        steals = part.status is Status.LEASED and message.redelivered
        if part.ticket != message.ticket or not (part.status is Status.QUEUED or steals):
            return f"worker {number} forgets {message}", True, seated(world, number, None)
        held = part._replace(status=Status.LEASED, epoch=part.epoch + 1, owner=number, losses=part.losses + steals)
        world = world._replace(db=with_part(world.db, worker.part, held))
        working = Worker("working", worker.part, message, epoch=held.epoch)
        return f"worker {number} claims part {worker.part}", True, seated(world, number, working)

    def _work(self, world: World, number: int, worker: Worker) -> Iterator[tuple[str, bool, World]]:
        db, part = world.db, world.db.parts[worker.part]
        if db.job.state == "queued":
            running = db._replace(job=db.job._replace(state="running"))
            yield "the job runs", True, world._replace(db=running)
        if part.losses >= MAX_LOSSES:
            yield from self._ends(world, number, worker, "poison")
            return
        if part.phase is Phase.PLAN:
            yield from self._plan(world, number, worker)
        elif part.phase is Phase.FINISH or (worker.part == 0 and part.phase is Phase.RUN and _is_over(db)):
            yield from self._ends(world, number, worker, "finished")
        elif part.phase is Phase.RUN and part.seq < self.scenario.chunks:
            yield self._chunk(world, number, worker, part, by=1)
        elif part.phase is Phase.UNDO and part.seq > 0:
            yield self._chunk(world, number, worker, part, by=-1)
        else:
            yield from self._ends(world, number, worker, "part done")
        if part.phase is not Phase.FINISH:
            if worker.progressed:
                yield from self._ends(world, number, worker, "release")
            elif world.budget.drains:
                yield from self._ends(spent(world, "drains"), number, worker, "release", by_system=False)

    def _plan(self, world: World, number: int, worker: Worker) -> Iterator[tuple[str, bool, World]]:
        """A part at a time, or all the rest at once; and a plan of one part may be run by whoever has made it."""
        left = unmade(world.db)
        if left:
            yield from self._ends(world, number, worker, "planned some")
        if left == [1]:
            yield from self._ends(world, number, worker, "planned alone")
        yield from self._ends(world, number, worker, "planned")
        if world.budget.refusals:
            yield from self._ends(spent(world, "refusals"), number, worker, "refused", by_system=False)

    def _chunk(self, world: World, number: int, worker: Worker, part: Part, by: int) -> tuple[str, bool, World]:
        at = part.seq if by > 0 else part.seq - 1
        effects = (*part.effects[:at], part.effects[at] + by, *part.effects[at + 1 :])
        moved = part._replace(seq=part.seq + by, losses=0, effects=effects)
        world = world._replace(db=with_part(world.db, worker.part, moved))
        done = "commits" if by > 0 else "undoes"
        label = f"worker {number} {done} chunk {at} of part {worker.part}"
        return label, True, seated(world, number, worker._replace(progressed=True))

    def _ends(
        self, world: World, number: int, worker: Worker, name: str, *, by_system: bool = True
    ) -> Iterator[tuple[str, bool, World]]:
        transaction = Transaction(name, part=worker.part, epoch=worker.epoch, worker=number)

        def then(after: World) -> World:
            return seated(after, number, after_its(transaction, worker))

        for after in self.run(world, f"worker {number}", transaction, then):
            yield f"worker {number}: {name} of part {worker.part}", by_system, after

    def _monitor(self, world: World) -> Iterator[tuple[str, bool, World]]:
        for n, part in enumerate(world.db.parts):
            if part.status is Status.LEASED:
                yield from self._reap(world, n, part)
            if part.status is Status.QUEUED and not on_its_way(world, n, part.ticket):
                yield f"part {n} is swept", True, world._replace(queue=(*world.queue, Delivered(n, part.ticket)))
        if world.budget.feeds and not self.is_busy(world, "monitor"):
            for after in self.run(spent(world, "feeds"), "monitor", Transaction("publish_parts"), lambda after: after):
                yield "the monitor feeds", False, after

    def _reap(self, world: World, n: int, part: Part) -> Iterator[tuple[str, bool, World]]:
        """Its owner is gone; or it lives, and only its lease has run out."""
        owner = world.workers[part.owner] if part.owner is not None else None
        alive = owner is not None and owner.part == n and owner.epoch == part.epoch
        if alive and not world.budget.zombies:
            return
        after = spent(world, "zombies") if alive else world
        if part.losses + 1 < MAX_LOSSES:
            yield f"part {n} is reaped", not alive, after._replace(db=reaped(world.db, n))
        elif not self.is_busy(world, "monitor"):
            transaction = Transaction("reaped as poison", part=n, epoch=part.epoch)
            for poisoned in self.run(after, "monitor", transaction, lambda after: after):
                yield f"part {n} is reaped as poison", not alive, poisoned

    def _people(self, world: World) -> Iterator[tuple[str, bool, World]]:
        for verb in sorted(set(world.asked)):
            actor = "the other job" if verb in OF_THE_NEIGHBOUR else "gateway"
            if self.is_busy(world, actor):
                continue
            asked = world._replace(asked=without(world.asked, verb))

            def answer(after: World, verb: str = verb) -> World:
                return answered(after, verb, world.db.job.state)

            for after in self.run(asked, actor, Transaction("verb", verb=verb), answer):
                yield f"{verb} is answered", verb == "end", after


def apply(db: Database, transaction: Transaction, scenario: Scenario) -> Database | None:
    """The database after the transaction; ``None``: it is refused, or the part is no longer its owner's."""
    n, window = transaction.part, scenario.window
    match transaction.name:
        case "verb":
            return VERBS[transaction.verb](db, window)
        case "publish_parts":
            fed = publish_parts(db, window + 1)  # the monitor has widened it
            return None if fed == db else fed
        case "reaped as poison":
            held = db.parts[n].epoch == transaction.epoch and db.parts[n].status is Status.LEASED
            return fail(db, window) if held else None
    if not mine(db, transaction.worker, n, transaction.epoch):
        return None
    match transaction.name:
        case "poison" | "refused":
            return fail(db, window)
        case "release":
            return released(db, n, window)
        case "planned some":
            return planned_some(db, window)
        case "planned alone":
            return planned_alone(db)
        case "planned":
            return planned(db, n, window)
        case "part done":
            return part_done(db, n, window)
        case "finished":
            return finished(db, n, window)
    raise ValueError(transaction.name)


def after_its(transaction: Transaction, worker: Worker) -> Worker:
    """The worker once its transaction is committed: at work still, or with nothing left to do but to ack."""
    if transaction.name in GOES_ON:
        return worker._replace(progressed=True)
    return worker._replace(doing="acking")


def _made(db: Database) -> list[Part]:
    return [part for part in db.parts if part.status is not Status.UNMADE]


def _is_to_go(part: Part) -> bool:
    return part.phase is not Phase.FINISH and part.status not in (Status.DONE, Status.UNMADE)


def _is_over(db: Database) -> bool:
    """Whether part 0, which wrote all there was, is the last."""
    return db.job.parts_left == 1 and all(db.parts[0].effects)


def _final_state_left(before: World, after: World, label: str) -> str | None:
    """A final state is left only by undo, correct, resume (of a failed job) and supersede."""
    was, now = before.db.job.state, after.db.job.state
    if was not in FINAL or was == now:
        return None
    leaves = ("undo", "supersede", *(("resume", "correct") if was in ("failed", "succeeded") else ()))
    return None if any(verb in label for verb in leaves) else f"{was} is final, and became {now}"


def answered(world: World, verb: str, state: str) -> World:
    stands = set(world.answered)
    if verb in ("terminate", "supersede") and state in STARTED:
        stands.add("terminate")
    if verb in ("stop", *TAKING_BACK):
        stands.add(verb)
    return world._replace(answered=frozenset(stands))
