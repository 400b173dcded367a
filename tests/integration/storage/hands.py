"""Doubles for the people and processes around the storage code: a worker's hand, a broker, and a toy task.

Everything is driven step by step by the test; nothing here runs by itself.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pymongo.client_session import ClientSession

from collect.errors import Fenced
from collect.jobs.model import Actor, Job, Part, Phase, Reason, entry_id
from collect.jobs.outcomes import Applied, Conflict, TakenBack
from collect.jobs.states import WRITING, State, Verb
from collect.messaging.messages import RunPart, decode
from collect.protocol import commits, creation, plan_commits, verbs
from collect.protocol.creation import NewJob
from collect.protocol.lease import Lease, Ticket, claim, job_begins
from collect.protocol.verbs import Outcome, Request
from collect.storage import jobs, ledger, parts
from collect.storage.database import Database, Transaction, begin, transact

ORG = "labs"
LOCK = "labs:dataset:baseline"
ACTOR = Actor(id="key", name="a test")
LEASE_SECONDS = 30.0
BLOCK = 2
"""Rows of a chunk."""

Row = tuple[str, int]
"""A key and a value; the row's number is its place in the file."""


def pause_for(seconds: float) -> None:
    """What a lease does between tries."""
    threading.Event().wait(seconds)


def request(reason: str = "a test", *, id: str | None = None, if_match: int | None = None) -> Request:
    return Request(actor=ACTOR, reason=reason, requested_at=datetime.now(UTC), request_id=id, if_match=if_match)


def rows(*, parts: int = 2, per_part: int = 4, prefix: str = "key") -> list[list[Row]]:
    """Rows with keys of their own, for that many parts."""
    return [[(f"{prefix}-{n}-{i}", n * 100 + i) for i in range(per_part)] for n in range(parts)]


def new_job(content: list[list[Row]], *, at_once: int | None = None, **options: Any) -> NewJob:
    """``at_once``: see :meth:`Hand.plan`."""
    options = {"lock": LOCK, "org_id": ORG, **options}
    return NewJob(
        kind="upload",
        params={"parts": content, "at_once": at_once},
        actor=ACTOR,
        reason="a test",
        requested_at=datetime.now(UTC),
        **options,
    )


def make(db: Database, content: list[list[Row]] | None = None, **options: Any) -> Job:
    """Create a job whose file has ``content``, one list a part."""
    new = new_job(rows() if content is None else content, **options)
    return transact(db, lambda tx: creation.create(tx, new)).value


def do(db: Database, job: Job, verb: Verb, **options: Any) -> Outcome:
    """``verb``, asked by a person."""
    asked = options.pop("request", None) or request()
    chosen = verbs.Options(**options) if options else None
    return verbs.perform(db, org_id=job.org_id, job_id=job.id, verb=verb, request=asked, options=chosen)


def now_is(db: Database, job: Job) -> Job:
    return jobs.get(db, org_id=job.org_id, job_id=job.id)


def state_of(db: Database, job: Job) -> State:
    return now_is(db, job).state


def snapshot(db: Database, *names: str) -> dict[str, list[dict[str, Any]]]:
    """Every document of the database, or of the collections named."""
    chosen = names or tuple(sorted(db.db.list_collection_names()))
    return {name: list(db[name].find().sort("_id", 1)) for name in chosen}


def dataset(db: Database) -> dict[str, tuple[int, str]]:
    """Key → value and mark of every row."""
    return {row["_id"]: (row["value"], row["written_by"]) for row in db.rows.find()}


def tickets(db: Database) -> list[tuple[str, RunPart]]:
    """The messages on their way, oldest first: the outbox is the test's broker. Each with its entry's id."""
    found = [(entry["_id"], decode(entry["body"])[1]) for entry in db.outbox.find().sort("_id", 1)]
    return [(id, message) for id, message in found if isinstance(message, RunPart)]


def take(db: Database, this: tuple[str, RunPart]) -> RunPart:
    """Deliver that message."""
    db.outbox.delete_one({"_id": this[0]})
    return this[1]


def newest(db: Database, job: Job, *, part: int | None = None) -> RunPart:
    """Deliver the newest message of the job, or of one part of it."""
    found = [this for this in tickets(db) if this[1].job_id == job.id and part in (None, this[1].part)]
    return take(db, found[-1])


class Toy:
    """A task that upserts rows by the rule for row numbers: within one job the last row with a key wins."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.inside: Callable[[], None] | None = None
        """Called once, inside the next chunk's or undone entry's transaction, after its writes."""
        self.rejected = 0

    def write(self, job: Job, part: Part, entry: str, session: ClientSession) -> Applied:
        at = part.cursor["at"]
        block = [(part.source["first"] + at + i, row) for i, row in enumerate(part.source["rows"][at : at + BLOCK])]
        keys = [key for _, (key, _) in block]
        stored = {row["_id"]: row for row in self._db.rows.find({"_id": {"$in": keys}}, session=session)}
        created, before = [], {}
        for number, (key, value) in block:
            old = stored.get(key)
            ours = old is not None and old["written_by"].startswith(f"{job.id}:")
            if old is not None and ours and old["row"] > number:
                continue
            mark = old["written_by"] if old is not None and ours else entry
            if old is None:
                created.append(key)
            elif not ours:
                before[key] = old
            stored[key] = {"_id": key, "org_id": job.org_id, "value": value, "row": number, "written_by": mark}
            self._db.rows.replace_one({"_id": key}, stored[key], upsert=True, session=session)
        self._reach()
        rejected, self.rejected = self.rejected, 0
        return Applied(
            succeeded=len(block) - rejected, rejected=rejected, created=len(created), changed=len(before), rejects=(),
            undo={"created": created, "before": list(before.values())},
        )  # fmt: skip

    def undo(self, record: dict[str, Any], entry: str, session: ClientSession) -> TakenBack:
        conflicts, deleted, restored = [], 0, 0
        for key in record["created"]:
            gone = self._db.rows.delete_one({"_id": key, "written_by": entry}, session=session).deleted_count
            deleted += gone
            conflicts += [] if gone else [key]
        for old in record["before"]:
            this = {"_id": old["_id"], "written_by": entry}
            back = self._db.rows.replace_one(this, old, session=session).matched_count
            restored += back
            conflicts += [] if back else [old["_id"]]
        self._reach()
        return TakenBack(
            deleted=deleted, restored=restored,
            conflicts=tuple(Conflict(id=key, row=None, why="changed since") for key in conflicts),
        )  # fmt: skip

    def _reach(self) -> None:
        inside, self.inside = self.inside, None
        if inside is not None:
            inside()


class Hand:
    """A slot: claims one part at a time, in a session of its own, and does one step when it is told to."""

    def __init__(self, db: Database, name: str = "hand") -> None:
        self.db = db
        self.name = name
        self.toy = Toy(db)
        self.session = db.client.start_session(causal_consistency=True)
        self.message: RunPart | None = None
        self.between: Callable[[], None] | None = None
        """Called once, between a commit that went wrong and the next try."""
        self._tenure: Lease | None = None
        self._left_open: list[ClientSession] = []

    @property
    def lease(self) -> Lease:
        assert self._tenure is not None
        return self._tenure

    @property
    def busy(self) -> bool:
        return self._tenure is not None

    @property
    def part(self) -> Part:
        return self.lease.part

    def claim(self, message: RunPart, *, redelivered: bool = False) -> bool:
        """Claim, and say that the job runs. ``False``: the ticket is void."""
        part = claim(
            self.db,
            Ticket(kind=message.kind, job_id=message.job_id, part=message.part, ticket=message.ticket),
            redelivered=redelivered,
            owner=self.name,
            session_id=self.db.session_id(self.session),
            lease_seconds=LEASE_SECONDS,
        )
        if part is None:
            return False
        self.message = message
        self.hold(part)
        if self.job.state in WRITING:
            job_begins(self.lease)
        return True

    def hold(self, part: Part) -> None:
        """Be the owner of the part as it is, without claiming it."""
        self._tenure = Lease(db=self.db, session=self.session, part=part, lease_seconds=LEASE_SECONDS, rest=self._rest)

    def _rest(self, seconds: float) -> None:
        between, self.between = self.between, None
        if between is None:
            pause_for(seconds)
        else:
            between()

    @property
    def job(self) -> Job:
        return jobs.get(self.db, org_id=self.part.org_id, job_id=self.part.job_id)

    def step(self) -> None:
        """One transaction of work. Raises ``Fenced`` when the part is no longer ours."""
        part = self.part
        match part.phase:
            case Phase.PLAN:
                self.plan()
            case Phase.RUN if part.cursor["at"] < len(part.source["rows"]):
                self.chunk()
            case Phase.UNDO if part.left > 0:
                self.take_back()
            case Phase.RUN if part.n == 0 and self.job.parts_left == 1:
                self._ends(lambda: commits.finished(self.lease, {"done": True}))
            case Phase.RUN | Phase.UNDO:
                self._ends(lambda: commits.part_done(self.lease))
            case Phase.FINISH:
                self._ends(lambda: commits.finished(self.lease, {"done": True}))

    def plan(self) -> None:
        """One transaction of planning: the job's params say how many parts at once, or all (``None``); 0 is all too,
        but one part alone is run by the hand itself."""
        planned = planned_parts(self.job)
        at_once = self.job.params["at_once"]
        rest = planned[self.part.cursor.get("planned", 0) :]
        if at_once and rest:
            plan_commits.some(self.lease, rest[:at_once])
        elif at_once == 0 and len(planned) == 1:
            plan_commits.alone(self.lease, rest[0])
        else:
            self._ends(lambda: plan_commits.whole(self.lease, rest))

    def chunk(self) -> Applied:
        job, part = self.job, self.part
        return commits.chunk(
            self.lease,
            job,
            cursor={"at": min(part.cursor["at"] + BLOCK, len(part.source["rows"]))},
            write=lambda entry, session: self.toy.write(job, part, entry, session),
        )

    def take_back(self) -> None:
        this = entry_id(self.part.job_id, self.part.n, self.part.left - 1)
        entry = self.db.ledger.find_one({"_id": this})
        assert entry is not None, f"{this} is missing"
        settled = entry["undone"] and not entry["conflicts"]
        undo = None if settled else lambda session: self.toy.undo(entry["undo"], this, session)
        commits.take_back(self.lease, entry=entry, undo=undo)

    def work_off(self) -> None:
        """Step until the part is no longer held."""
        while self.busy:
            try:
                self.step()
            except Fenced:
                self.forget()

    def release(self) -> None:
        self._ends(lambda: commits.release(self.lease))

    def fail(self, code: str = "broken") -> None:
        self._ends(lambda: commits.fail(self.lease, Reason(code=code, message="It is broken.", where="row 1")))

    def over_limit(self) -> None:
        why = Reason(code=verbs.OVER_LIMIT, message="Too many.", hint="Look.")
        self._ends(lambda: commits.over_limit(self.lease, why))

    def die_in_transaction(self) -> Part:
        """Leave a chunk open on the server with all its writes, the last compare-and-set included, as SIGKILL does."""
        job, part = self.job, self.part
        begin(self.session).__enter__()
        tx = Transaction(db=self.db, session=self.session)
        entry = entry_id(job.id, part.n, part.seq)
        applied = self.toy.write(job, part, entry, self.session)
        ledger.insert(tx, part=part, applied=applied)
        self.lease.advance(tx, {"seq": part.seq}, {"seq": part.seq + 1})
        self.forget()
        self._left_open.append(self.session)
        self.session = self.db.client.start_session(causal_consistency=True)
        return part

    def forget(self) -> None:
        """Let go without a word."""
        self._tenure = None

    def _ends(self, act: Callable[[], object]) -> None:
        act()
        self.forget()


def planned_parts(job: Job) -> list[dict[str, Any]]:
    """The plan of the toy: the parts are in the job's params, row numbers run through."""
    made: list[dict[str, Any]] = []
    first = 1
    for content in job.params["parts"]:
        made.append({"source": {"rows": content, "first": first}, "cursor": {"at": 0}, "total": len(content)})
        first += len(content)
    return made


def run_until_rest(db: Database, *, hand: Hand | None = None, most: int = 500) -> None:
    """Deliver and work off, one message after the other, until there are none."""
    hand = hand or Hand(db)
    for _ in range(most):
        found = tickets(db)
        if not found:
            return
        if hand.claim(take(db, found[0])):
            hand.work_off()
    raise AssertionError(f"it does not come to rest within {most} messages")


def take_hold(db: Database, job: Job, *, chunks: int = 0, client: Database | None = None) -> Hand:
    """A hand that holds a part in phase run (or undo), with that many chunks committed. Planning is done before.

    ``client`` is whose connection the hand uses.
    """
    hand = Hand(client or db)
    message = newest(db, job)
    if message.part == 0 and parts.of_job(db, job_id=job.id)[0].phase is Phase.PLAN:
        assert hand.claim(message)
        hand.step()
        message = newest(db, job)
    assert hand.claim(message)
    for _ in range(chunks):
        hand.chunk()
    return hand


def expire(db: Database, part_id: str) -> None:
    """As if the lease had run out a second ago, by the server's clock."""
    db.parts.update_one(
        {"_id": part_id, "status": "leased"},
        [{"$set": {"lease_until": {"$subtract": ["$$NOW", 1000]}}}],
    )
