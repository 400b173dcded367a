"""Random schedules of everything that can happen, on the real storage code and a real database, against a model.

`SCHEDULES` and `SCHEDULE_STEPS` are the knobs of a long run; with `SCHEDULES_RANDOM=1` each run takes other schedules.
"""

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from collect.errors import Conflict, Fenced
from collect.jobs.model import OUT, Job, Part, Phase, entry_id
from collect.jobs.states import ACTIVE, State, Verb
from collect.messaging.messages import RunPart
from collect.protocol import maintenance, reaper
from collect.storage import parts
from collect.storage.database import Database
from integration.storage.chances import ACTS, AT_ONCE, CONFLICTS, ENDS, KEYS, TROUBLES, VERBS, chosen, content
from integration.storage.conftest import empty
from integration.storage.hands import LOCK, Hand, Row, dataset, do, expire, make, snapshot, take, tickets
from integration.storage.promises import check_audit, check_outcome, check_part, check_plan, check_rests
from integration.storage.reference import AT_REST, BEGIN, FAIL, IN_LINE, RUNNABLE, Dataset, Document, Moves, Reference

SCHEDULES = int(os.environ.get("SCHEDULES", "50"))
STEPS = int(os.environ.get("SCHEDULE_STEPS", "80"))
PACE = settings(
    max_examples=SCHEDULES, stateful_step_count=STEPS, deadline=None, database=None,
    derandomize="SCHEDULES_RANDOM" not in os.environ, suppress_health_check=list(HealthCheck),
)  # fmt: skip
HANDS, JOBS, WINDOW, MOST_ROUNDS = 3, 8, 4, 200


class Schedule(RuleBasedStateMachine):
    """Whatever is asked, lost, doubled, killed or late: what the model promises is what the stores hold."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        empty(db)
        self.db = db
        self.jobs: list[Reference] = []
        self.line: list[str] = []
        self.stored = Dataset()
        self.queue: list[tuple[RunPart, bool]] = []
        self.hands = [Hand(db, f"hand-{i}") for i in range(HANDS)]
        self.epochs: dict[str, int] = {}
        self.edited: set[str] = set()
        self.deaths = 0

    @rule(seed=st.integers(0, 2**32 - 1))
    def something_happens(self, seed: int) -> None:
        """One seed a step: choices are spread evenly, and a schedule that fails still loses its idle steps."""
        rng = random.Random(seed)
        one, other = rng.randrange(12), rng.randrange(12)
        act = chosen(ACTS, rng) if self.jobs else "create"
        note(f"{act} {one} {other}")
        match act:
            case "create" if len(self.jobs) < JOBS:
                planned = content(rng), chosen(AT_ONCE, rng)
                self.create(*planned, chosen(CONFLICTS, rng), confirm=rng.random() < 0.1, old=one)
            case "ask":
                active = [ref for ref in self.jobs if ref.state in ACTIVE or ref.state is State.PAUSED]
                self.ask(rng.choice(active if active and rng.random() < 0.7 else self.jobs), chosen(VERBS, rng))
            case "work" if any(hand.busy for hand in self.hands):
                self.work(one, steps=rng.randrange(1, 5))
            case "deliver" | "create" | "work":
                self.deliver(one, other, steps=rng.randrange(3))
            case "end":
                self.end(one, chosen(ENDS, rng))
            case "trouble":
                self.a_worker_is_in_trouble(one, chosen(TROUBLES, rng))
            case "message":
                self.a_message_is_lost_or_doubled(one, lost=other % 2 == 0)
            case "monitor":
                self.the_monitor_comes_by()
            case "edit":
                self.edit_by_hand(rng.choice(KEYS))

    # What people do.

    def create(self, content: list[list[Row]], at_once: int | None, on_conflict: str, confirm: bool, old: int) -> None:
        supersedes = self.jobs[old % len(self.jobs)] if on_conflict == "supersede" and self.jobs else None
        line = list(self.line)
        name = supersedes.id if supersedes else None
        held = self._entering_is_refused(on_conflict, supersedes) and not confirm
        try:
            job = make(self.db, content, at_once=at_once, on_conflict=on_conflict, supersedes=name, confirm=confirm)
        except Conflict:
            assert held, f"{on_conflict} was refused with the line {line}"
            return
        assert not held, f"{on_conflict} was not refused with the line {line}"
        self.jobs.append(Reference(id=job.id, content=content, state=job.state, base={}))
        if not confirm:
            self._enters(self.jobs[-1], supersedes)

    def _entering_is_refused(self, on_conflict: str, old: Reference | None) -> bool:
        if on_conflict == "queue" or (on_conflict == "supersede" and old is None and not self.line):
            return False
        if on_conflict == "reject" or old is None:
            return bool(self.line)
        if old.id in self.line:
            return self.line.index(old.id) + 1 < len(self.line)
        return bool(self.line)

    def _enters(self, new: Reference, old: Reference | None) -> None:
        if old is None:
            self.line.append(new.id)
            return
        if old.state in AT_REST:
            self.line.insert(0, old.id)
        place = self.line.index(old.id) + 1 if old.id in self.line else len(self.line)
        self.line.insert(place, new.id)
        match old.state:
            case State.QUEUED | State.RUNNING | State.PAUSED | State.AWAITING_CONFIRMATION:
                self._moved(old, State.TERMINATING if old.wrote else State.TERMINATED, Verb.TERMINATE)
            case State.SUCCEEDED | State.STOPPED | State.FAILED:
                self._moved(old, State.UNDOING if old.wrote else State.UNDONE, Verb.UNDO)
            case State.UNDO_FAILED:
                self._moved(old, State.UNDOING, Verb.UNDO)

    def ask(self, ref: Reference, verb: Verb) -> None:
        job = self._job(ref)
        if verb is Verb.CONFIRM and job.on_conflict != "reject":
            return
        expected = ref.answer(verb, line=self.line)
        before = snapshot(self.db)
        try:
            outcome = do(self.db, job, verb)
        except Conflict:
            outcome = None
        assert (outcome is None) is (expected is None), f"{verb} of a job that is {ref.state}"
        if outcome is None or expected is None:
            assert snapshot(self.db) == before
            return
        assert outcome.job.state is expected
        assert outcome.repeated is (expected is ref.state and verb is ref.last)
        if outcome.repeated:
            assert snapshot(self.db) == before
            return
        if ref.id not in self.line and expected in IN_LINE:
            self.line.append(ref.id)
        self._moved(ref, expected, verb)

    def _moved(self, ref: Reference, state: State, verb: Verb | None = None) -> None:
        ref.state = state
        ref.last = verb or ref.last
        if state not in IN_LINE and ref.id in self.line:
            self.line.remove(ref.id)

    def edit_by_hand(self, key: str) -> None:
        self.db.rows.update_one({"_id": key}, {"$set": {"value": -1, "row": 0, "written_by": "somebody"}})
        self.stored.edit(key, -1)
        self.edited.add(key)

    # What workers do.

    def deliver(self, which: int, hand: int, steps: int) -> None:
        """A free hand gets a message, and does some steps if it could claim."""
        self._relay()
        free = [hand for hand in self.hands if not hand.busy]
        if not self.queue or not free:
            self.work(hand, steps)
            return
        message, redelivered = self.queue.pop(which % len(self.queue))
        taker = free[hand % len(free)]
        if taker.claim(message, redelivered=redelivered):
            self._adopt(message.job_id, BEGIN)
        for _ in range(steps):
            if taker.busy:
                self._step(taker)

    def work(self, hand: int, steps: int) -> None:
        for _ in range(steps):
            self._with_busy(hand, self._step)

    def end(self, hand: int, how: str) -> None:
        self._with_busy(hand, lambda busy: self._end(busy, how))

    def _end(self, hand: Hand, how: str) -> None:
        job_id, phase = hand.part.job_id, hand.part.phase
        match how:
            case "release":
                self._or_fenced(hand, hand.release)
            case "fail":
                if self._or_fenced(hand, hand.fail):
                    self._adopt(job_id, FAIL)
            case "over_limit" if phase is Phase.RUN:
                if self._or_fenced(hand, hand.over_limit):
                    self._adopt(job_id, [(state, State.PAUSED) for state in RUNNABLE], verb=Verb.PAUSE)

    # What goes wrong.

    def a_worker_is_in_trouble(self, hand: int, mishap: str) -> None:
        acts: dict[str, Callable[[Hand], object]] = {
            "its session is killed": lambda busy: self.db.kill_sessions([self.db.session_id(busy.session)]),
            "its channel is gone and it lives on": self._give_back,
            "it crashes": self._crash,
            "it crashes in a transaction": self._crash_in_a_transaction,
            "its parent sees it die": self._seen_to_die,
            "its lease runs out": lambda busy: self._expire(busy.part.id),
        }
        self._with_busy(hand, acts[mishap])

    def _crash(self, hand: Hand) -> None:
        self._give_back(hand)
        hand.forget()

    def _crash_in_a_transaction(self, hand: Hand) -> None:
        """Once in a schedule: whoever comes next has to wait before it may kill."""
        part = hand.part
        writes = part.phase is Phase.RUN and part.cursor["at"] < len(part.source["rows"])
        if writes and not self.deaths and self._still_ours(hand):
            self._give_back(hand)
            hand.die_in_transaction()
            self.deaths += 1

    def _seen_to_die(self, hand: Hand) -> None:
        reaper.reap(self.db, hand.part, why="killed", expired_only=False)
        self._adopt(hand.part.job_id, FAIL)
        hand.forget()

    def _expire(self, part_id: str) -> None:
        self.db.kill_sessions([part["lsid"] for part in self.db.parts.find({"_id": part_id}) if part["lsid"]])
        expire(self.db, part_id)
        for part in reaper.expired(self.db):
            reaper.reap(self.db, part, why="it was silent")
            self._adopt(part.job_id, FAIL)

    def a_message_is_lost_or_doubled(self, which: int, lost: bool) -> None:
        self._relay()
        if not self.queue:
            return
        message, _ = self.queue[which % len(self.queue)]
        if lost:
            self.queue.pop(which % len(self.queue))
        else:
            self.queue.append((message, False))

    # What the monitor does.

    def the_monitor_comes_by(self) -> None:
        self.db.parts.update_many(
            {"status": "queued"}, [{"$set": {"published_at": {"$subtract": ["$$NOW", 6_000_000]}}}]
        )
        for part in maintenance.waiting(self.db, older_than_seconds=5):
            maintenance.publish_again(self.db, part)
        for job in maintenance.runnable_jobs(self.db):
            maintenance.publish_runnable(self.db, job.id)

    # What must hold.

    @invariant()
    def what_is_promised_is_what_is_stored(self) -> None:
        jobs = {job["_id"]: Job.model_validate(job) for job in self.db.jobs.find()}
        found = [Part.model_validate(part) for part in self.db.parts.find()]
        self._check_people_see_the_model(jobs)
        self._check_only_who_may_is_out(found)
        entries = list(self.db.ledger.find({}, {"undo": 0}).sort("seq", 1))
        for part in found:
            assert part.epoch >= self.epochs.get(part.id, 0)
            self.epochs[part.id] = part.epoch
            check_part(part, [e for e in entries if (e["job_id"], e["n"]) == (part.job_id, part.n)])
        audit = list(self.db.audit.find().sort("seq", 1))
        for ref in self.jobs:
            check_audit(ref, jobs[ref.id], [entry for entry in audit if entry["job_id"] == ref.id])
            check_plan(ref, jobs[ref.id], [part for part in found if part.job_id == ref.id])

    def _check_people_see_the_model(self, jobs: dict[str, Job]) -> None:
        assert {job.id: job.state for job in jobs.values()} == {ref.id: ref.state for ref in self.jobs}
        lock = self.db.locks.find_one({"_id": LOCK})
        assert (lock["queue"] if lock else []) == self.line
        stored = {key: (document.value, document.mark) for key, document in self.stored.documents.items()}
        assert dataset(self.db) == stored

    def _check_only_who_may_is_out(self, found: list[Part]) -> None:
        for ref in self.jobs:
            out = [part for part in found if part.job_id == ref.id and part.status in OUT]
            assert len(out) <= WINDOW
            if out:
                assert ref.state in ACTIVE
                assert self.line[:1] == [ref.id]

    def teardown(self) -> None:
        """Nothing more goes wrong: all comes to rest, and then the outcome of each job is exact."""
        for _ in range(MOST_ROUNDS):
            if not self._one_more_round():
                break
        else:
            raise AssertionError("it does not come to rest")
        self.what_is_promised_is_what_is_stored()
        for ref in self.jobs:
            check_rests(ref, self.jobs, self.line)
            check_outcome(ref, self.jobs, self.stored, self.edited, self._parts(ref))

    def _one_more_round(self) -> bool:
        """Whether anything was left to do."""
        for hand in self.hands:
            while hand.busy:
                self._step(hand)
        self.the_monitor_comes_by()
        self._relay()
        for part in list(self.db.parts.find({"status": "leased"}, {"_id": 1})):
            self._expire(part["_id"])
        if not self.queue:
            return False
        taker = self.hands[0]
        queue, self.queue = self.queue, []
        for message, redelivered in queue:
            if taker.claim(message, redelivered=redelivered):
                self._adopt(message.job_id, BEGIN)
            while taker.busy:
                self._step(taker)
        return True

    # How it is done.

    def _step(self, hand: Hand) -> None:
        part, job_id = hand.part, hand.part.job_id
        ref = next(job for job in self.jobs if job.id == job_id)
        if part.losses >= reaper.MAX_LOSSES:
            if self._or_fenced(hand, lambda: hand.fail("poison")):
                self._adopt(job_id, FAIL)
            return
        if not self._or_fenced(hand, hand.step):
            return
        match part.phase:
            case Phase.RUN if hand.busy:
                self._wrote(ref, part)
            case Phase.RUN if part.n == 0:
                self._adopt(job_id, [(state, State.SUCCEEDED) for state in RUNNABLE])
            case Phase.UNDO if hand.busy:
                self.stored.take_back(entry_id(job_id, part.n, part.left - 1))
            case Phase.UNDO:
                self._adopt(job_id, [(State.TERMINATING, State.TERMINATED), (State.UNDOING, State.UNDONE)])
            case Phase.FINISH:
                self._adopt(job_id, [(state, State.SUCCEEDED) for state in RUNNABLE])

    def _wrote(self, ref: Reference, part: Part) -> None:
        if not ref.wrote:
            ref.wrote = True
            ref.base = dict[str, Document](self.stored.documents)
        entry = entry_id(ref.id, part.n, part.seq)
        self.stored.write(ref.id, entry, ref.first_row(part.n, part.seq), ref.block(part.n, part.seq))

    def _or_fenced(self, hand: Hand, act: Callable[[], object]) -> bool:
        """Whether it was done. A fenced hand was not the owner any more, and an owner is never fenced."""
        ours = self._still_ours(hand)
        before = snapshot(self.db) if not ours else {}
        try:
            act()
        except Fenced:
            assert not ours
            assert snapshot(self.db) == before
            hand.forget()
            return False
        assert ours
        return True

    def _still_ours(self, hand: Hand) -> bool:
        return self.db.parts.find_one(hand.lease.mine) is not None

    def _with_busy(self, which: int, act: Callable[[Hand], object]) -> None:
        busy = [hand for hand in self.hands if hand.busy]
        if busy:
            act(busy[which % len(busy)])

    def _give_back(self, hand: Hand) -> None:
        if hand.message is not None:
            self.queue.append((hand.message, True))
            hand.message = None

    def _relay(self) -> None:
        self.queue += [(take(self.db, this), False) for this in tickets(self.db)]

    def _adopt(self, job_id: str, moves: Moves, *, verb: Verb | None = None) -> None:
        """The job may have made one of these moves."""
        ref = next(job for job in self.jobs if job.id == job_id)
        job = self._job(ref)
        if job.state is ref.state:
            return
        assert (ref.state, job.state) in set(moves), f"{ref.state} → {job.state}"
        ref.conflicts = job.conflicts
        self._moved(ref, job.state, verb)

    def _job(self, ref: Reference) -> Job:
        return Job.model_validate(self.db.jobs.find_one({"_id": ref.id}))

    def _parts(self, ref: Reference) -> list[Part]:
        return parts.of_job(self.db, job_id=ref.id)


@pytest.mark.timeout(60 + 20 * SCHEDULES)
def test_whatever_happens_the_stores_hold_what_the_model_promises(db: Database) -> None:
    run_state_machine_as_test(
        lambda: Schedule(db),  # type: ignore[arg-type]  # any factory will do
        settings=PACE,
    )
