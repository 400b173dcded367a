"""One part in one slice: what its owner does from the claim to the release. A row's way is read here, downwards."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Any, assert_never

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from collect.errors import (
    Abandoned,
    ChunkTooBig,
    Drained,
    Fenced,
    NotFound,
    Overtaken,
    StoreFull,
    TaskRefused,
    TransactionTooBig,
    Transient,
)
from collect.jobs.model import Job, Phase, Reason, Rest
from collect.jobs.outcomes import Applied
from collect.jobs.states import WRITING
from collect.protocol import commits, plan_commits
from collect.protocol.lease import Lease, job_begins
from collect.protocol.reaper import MAX_LOSSES, poisoned
from collect.protocol.reject_limit import ChunkPastLimit, limit_of
from collect.runtime import reasons, undo
from collect.runtime.ending import SliceOver, nothing_stored_behind
from collect.runtime.ipc import Alive, ChunkDone, Ending, Publish
from collect.runtime.pacing import Pace, queue_behind, share
from collect.runtime.prefetch import ahead
from collect.runtime.slot_pipe import Control
from collect.runtime.task import Chunk, Task
from collect.storage.database import Database, now, retryable

_log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
MAKING_SECONDS = 600.0
"""A chunk that is not made in this time, by a slow file store say, is taken for one that hangs."""
WHOLE_PLAN_SECONDS = 0.1
SOME_PLAN_SECONDS = 0.25
"""How long a plan goes on before its first parts are given out, and then between two times."""


class PartRun:
    """The owner's work on one part, until the part, the slice or the right to write is over."""

    def __init__(
        self, *, db: Database, task: Task, control: Control, lease: Lease, job: Job, run: int, pace: Pace
    ) -> None:
        self.db = db
        self.task = task
        self.lease = lease
        self.job = job
        self._control = control
        self._run = run
        self._pace = pace
        self._began = time.monotonic()
        self._looked = self._began
        self._alive = self._began
        self._rows_per_second = 0.0
        self._slice_seconds = 0.0

    def work(self) -> Ending:
        """Work until the phase, the slice, or the right to write is over."""
        try:
            try:
                return self._work()
            except StoreFull as full:
                commits.fail(self.lease, reasons.store_full(full, self.lease.part.phase))
                return Ending.FAILED
            except NotFound as lost:  # a blob: all else that a job needs is the task's to name
                commits.fail(self.lease, reasons.file_missing(lost, self.lease.part.phase))
                return Ending.FAILED
            except SliceOver as over:
                return self._release(owed=over.owed)
            except (Drained, Overtaken):
                return self._release()
            except Transient as error:
                return self._put_off(error.detail, code=error.code)
            except PyMongoError as error:  # a read that found no server: what was committed stands, go on from there
                if not retryable(error):
                    raise
                return self._put_off("The database did not answer.", code=type(error).__name__)
            except TaskRefused as refused:
                commits.fail(self.lease, reasons.refused(refused))
                return Ending.FAILED
        except Fenced:
            return Ending.FENCED
        except Abandoned:
            return Ending.ABANDONED

    def _release(self, *, owed: Rest | None = None, put_off: Reason | None = None) -> Ending:
        commits.release(self.lease, owed=owed, put_off=put_off)
        return Ending.RELEASED

    def _put_off(self, said: str, *, code: str) -> Ending:
        """Another release, or a server, is to get time: not the same again and again as fast as it goes."""
        self.look()  # what was cut has to let go at once
        _log.warning("slice_put_off", extra={"code": code})
        self._control.rest(LOOK_SECONDS)
        return self._release(put_off=reasons.put_off(said))

    def got_on(self) -> None:
        """Something was committed: whatever had put the job off is over."""
        if self.job.reason is not None and self.job.reason.code == commits.PUT_OFF:
            commits.goes_on(self.lease)
            self.job = self.job.model_copy(update={"reason": None})

    def _work(self) -> Ending:
        part = self.lease.part
        if part.losses >= MAX_LOSSES:
            commits.fail(self.lease, poisoned(self.job, part, "the broker gave its message away."))
            return Ending.FAILED
        if self.job.state in WRITING:
            job_begins(self.lease)
            self.publish()  # whoever listens hears that it runs before he hears what ends it
        self.look()
        match part.phase:
            case Phase.PLAN:
                return self._plan()
            case Phase.RUN:
                return self._write()
            case Phase.FINISH:
                return self._finish()
            case Phase.UNDO:
                undo.take_back(self)
            case _:
                assert_never(part.phase)
        return Ending.COMPLETED

    def _plan(self) -> Ending:
        """A plan that is soon made is committed as a whole. Otherwise its parts are given out while it goes on."""
        began = reached = time.monotonic()
        due = began + WHOLE_PLAN_SECONDS
        found: list[plan_commits.Found] = []
        for step in self.task.plan(self.job, plan_commits.last_planned(self.lease)):
            self.breathe(0.0)
            if found and time.monotonic() >= due:
                plan_commits.some(self.lease, found)
                self.publish()
                found, due = [], time.monotonic() + SOME_PLAN_SECONDS
                # The next planner may have to read again up to here: for at least as long as that takes, go on.
                self.step(release=time.monotonic() - reached >= reached - began)
            if step is not None:
                reached = reached if reached > began else time.monotonic()
                found.append(asdict(step))
        if len(found) == 1 and not self.lease.part.cursor:
            self.job = plan_commits.alone(self.lease, found[0])
            return self._write()
        plan_commits.whole(self.lease, found)
        return Ending.COMPLETED

    def _write(self) -> Ending:
        while True:
            try:
                return self._write_on()
            except ChunkTooBig as error:
                if error.rows == 1:
                    raise TaskRefused(error.detail, code=error.code, where=error.where) from error
                self._pace.at_most(error.rows // 2)
            except ChunkPastLimit as passed:
                if passed.rows == 0 and (ending := self._paused_over_limit()) is not None:
                    return ending
                self._pace.next_at_most(passed.rows)

    def _write_on(self) -> Ending:
        """From where the part stands."""
        chunks = self.task.chunks(self.job, self.lease.part, self._pace.size)
        since, limit = time.monotonic(), None
        eager = self.job.max_rows_per_second is None  # whoever rests outside has no use for what was made ahead
        with (
            nothing_stored_behind(chunks, show_life=lambda: self.breathe(self._rows_per_second)),
            ahead(chunks, hear=lambda: self._await_chunk(since), eager=eager) as made,
        ):
            for nth, chunk in enumerate(made):
                # A slice that is shorter than its first chunk would never get on.
                self.step(release=nth > 0 or self.job.rests(now()))
                began = time.monotonic()
                applied = self._commit(chunk)
                committing = time.monotonic() - began
                self.got_on()
                before, limit = limit, limit_of(self.job)  # it may have been changed, or the rows be counted by now
                changed = applied.rejected > 0 or limit != before
                if changed and (ending := self._paused_over_limit()) is not None:
                    return ending
                seconds = time.monotonic() - since
                self._pace.spent(rows=chunk.rows, seconds=seconds)
                self._rows_per_second = chunk.rows / max(
                    seconds + self._pace.owed(rows=chunk.rows, seconds=seconds), 1e-6
                )
                done = ChunkDone(
                    phase=Phase.RUN, seconds=committing, succeeded=applied.succeeded, rejected=applied.rejected
                )
                self.breathe(self._rows_per_second, done)
                self._rest(chunk.rows, since=since)
                since = time.monotonic()
        self.step(release=False)
        return self._done()

    def _await_chunk(self, since: float) -> None:
        """Hear while the next chunk is being made; and show life, unless it has taken so long that it may never be."""
        at = time.monotonic()
        if at - self._alive >= LOOK_SECONDS and at - since < MAKING_SECONDS:
            self.breathe(self._rows_per_second)
        else:
            self.step(release=False)

    def _commit(self, chunk: Chunk) -> Applied:
        def write(entry_id: str, session: ClientSession) -> Applied:
            return self.task.apply(self.job, self.lease.part, chunk, entry_id=entry_id, session=session)

        try:
            return commits.chunk(
                self.lease, self.job, cursor=chunk.cursor, write=write, rows=chunk.rows, numbers=chunk.numbers,
                mended=chunk.mended,
            )  # fmt: skip
        except TransactionTooBig as error:
            if chunk.rows == 1:
                raise
            part = self.lease.part
            where = f"row {part.counts.done + 1:,} of part {part.n}"
            raise ChunkTooBig(error.detail, where=where, rows=chunk.rows) from error

    def _done(self) -> Ending:
        """The part's rows are written. Part 0 has some when it was alone, and then nothing but the finish is left."""
        if self.lease.part.n == 0 and self.job.parts_left == 1:
            return self._finish()
        commits.part_done(self.lease)
        return Ending.COMPLETED

    def _finish(self) -> Ending:
        if (ending := self._paused_over_limit()) is not None:
            return ending
        result: dict[str, Any] | None = None
        for step in self.task.finish(self.job):
            self.breathe(0.0)
            if callable(step):
                commits.settle(self.lease, step)
            elif step is not None:
                result = step
        commits.finished(self.lease, result, reason=reasons.rows_of_parent(self.db, self.job))
        return Ending.COMPLETED

    def publish(self) -> None:
        """Have the parent publish at once what our commits have left in the outbox."""
        entries, self.lease.outbox = tuple(self.lease.outbox), []
        if entries:
            self._control.report(Publish(entries=entries))

    def step(self, *, release: bool = True) -> None:
        """Between two chunks: hear, look when told to and once a second in any case, and mind the slice's time."""
        told = self._control.check()
        if told or time.monotonic() - self._looked >= LOOK_SECONDS:
            self.look()
        if release and self._is_over():
            raise SliceOver

    def _is_over(self) -> bool:
        rests = self.lease.part.phase is Phase.RUN and self.job.rests(now())
        return rests or time.monotonic() - self._began >= self._slice_seconds

    def breathe(self, rows_per_second: float, chunk: ChunkDone | None = None) -> None:
        """Show life, so that the parent prolongs the lease while a step takes long; and hear."""
        self._alive = time.monotonic()
        self._control.report(Alive(run=self._run, rows_per_second=rows_per_second, chunk=chunk))
        self.step(release=False)

    def wait(self, seconds: float) -> None:
        """Wait for somebody else, and show life."""
        self._control.rest(seconds)
        self.breathe(0.0)

    def look(self) -> None:
        """Read what may have changed: whether the part is still ours, the job's limits, who else waits."""
        self._looked = time.monotonic()
        try:
            self.lease.look()
            document = self.db.jobs.find_one({"_id": self.job.id})
            if document is not None:
                self.job = Job.model_validate(document)
            self._pace.limit(share(self.db, self.lease.part, self.job.max_rows_per_second))
            self._slice_seconds = queue_behind(self.db, self.lease.part).slice_seconds
        except PyMongoError as error:  # the next commit finds out what is the matter, and waits for it
            if not retryable(error):
                raise

    def _rest(self, rows: int, *, since: float) -> None:
        """Rest as long as the job's limit asks for, as it is at each look; outside the slot when the slice is over."""
        while (seconds := self._pace.owed(rows=rows, seconds=time.monotonic() - since)) > 0:
            if seconds > LOOK_SECONDS and self._is_over():
                raise SliceOver(owed=self.job.rest_from(now(), seconds))
            self._control.rest(min(seconds, LOOK_SECONDS))
            try:
                self.breathe(self._rows_per_second)
            except Drained:
                raise SliceOver(owed=self.job.rest_from(now(), seconds)) from None

    def _paused_over_limit(self) -> Ending | None:
        """Pause the job, if more of its rows were rejected than are allowed."""
        reason = reasons.over_limit(self.db, self.job, self.task)
        if reason is None:
            return None
        commits.over_limit(self.lease, reason)
        return Ending.FAILED
