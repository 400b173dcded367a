"""The work on one part in one slice, from the claim to the release. Read downwards, it shows the way of a row."""

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
"""Seconds in which a chunk must be made. One that takes longer, because of a slow file store for example, counts as
hanging: the slice shows no more life."""
WHOLE_PLAN_SECONDS = 0.1
SOME_PLAN_SECONDS = 0.25
"""Seconds of planning before the first parts are published (:data:`WHOLE_PLAN_SECONDS`), and then between two times."""


class PartRun:
    """The work on one part, until the phase, the slice or the right to write is over. Blocking; for one thread."""

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
        """Work until the phase, the slice or the right to write is over. Return how the slice ended."""
        try:
            try:
                return self._work()
            except StoreFull as full:
                commits.fail(self.lease, reasons.store_full(full, self.lease.part.phase))
                return Ending.FAILED
            except NotFound as lost:  # a blob is missing; if anything else is, the task raises an error of its own
                commits.fail(self.lease, reasons.file_missing(lost, self.lease.part.phase))
                return Ending.FAILED
            except SliceOver as over:
                return self._release(owed=over.owed)
            except (Drained, Overtaken):
                return self._release()
            except Transient as error:
                return self._put_off(error.detail, code=error.code)
            except PyMongoError as error:  # a read found no server: the next slice goes on from the last commit
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
        """Wait a moment, then release the part: a server must answer first, or a newer release must take the job.

        The wait keeps slices from trying the same thing again in a busy loop.
        """
        self.look()  # a part that was cut must end now, without the wait
        _log.warning("slice_put_off", extra={"code": code})
        self._control.rest(LOOK_SECONDS)
        return self._release(put_off=reasons.put_off(said))

    def got_on(self) -> None:
        """Remove the reason that the job was put off, because something was committed."""
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
            self.publish()  # so that listeners get the event that the job runs before the event that it ended
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
        """Plan the job. A short plan is committed as a whole; a longer one publishes its parts while it goes on."""
        began = reached = time.monotonic()
        due = began + WHOLE_PLAN_SECONDS
        found: list[plan_commits.Found] = []
        for step in self.task.plan(self.job, plan_commits.last_planned(self.lease)):
            self.breathe(0.0)
            if found and time.monotonic() >= due:
                plan_commits.some(self.lease, found)
                self.publish()
                found, due = [], time.monotonic() + SOME_PLAN_SECONDS
                # A later slice may have to read the file again up to the first new part. So this one goes on for at
                # least as long as that reading took, before it may be released.
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
        """Write the part's chunks, from its cursor to its end."""
        chunks = self.task.chunks(self.job, self.lease.part, self._pace.size)
        since, limit = time.monotonic(), None
        eager = self.job.max_rows_per_second is None  # a job with a limit rests: chunks made ahead would be lost
        with (
            nothing_stored_behind(chunks, show_life=lambda: self.breathe(self._rows_per_second)),
            ahead(chunks, hear=lambda: self._await_chunk(since), eager=eager) as made,
        ):
            for nth, chunk in enumerate(made):
                # The first chunk is written in any case: else a slice shorter than one chunk would never get further.
                self.step(release=nth > 0 or self.job.rests(now()))
                began = time.monotonic()
                applied = self._commit(chunk)
                committing = time.monotonic() - began
                self.got_on()
                before, limit = limit, limit_of(self.job)  # a verb changed it, or the job's rows are counted by now
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
        """Check for commands while the next chunk is made, and show life once a second.

        No life is shown for a chunk that has taken :data:`MAKING_SECONDS`: it may hang, and then the lease must end.
        """
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
                corrected=chunk.corrected,
            )  # fmt: skip
        except TransactionTooBig as error:
            if chunk.rows == 1:
                raise
            part = self.lease.part
            where = f"row {part.counts.done + 1:,} of part {part.n}"
            raise ChunkTooBig(error.detail, where=where, rows=chunk.rows) from error

    def _done(self) -> Ending:
        """End the part, whose rows are all written.

        Part 0 has rows only if it is the only part of the job. Then the finish is all that is left, and is done here.
        """
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
        """Have the parent publish at once the messages that this slice's commits have put into the outbox."""
        entries, self.lease.outbox = tuple(self.lease.outbox), []
        if entries:
            self._control.report(Publish(entries=entries))

    def step(self, *, release: bool = True) -> None:
        """Do what is due between two chunks: check for commands, and look on a command or once a second.

        Raises:
            SliceOver: with ``release``, the slice's time is over, or the job rests.
            Abandoned: the delivery is gone.
            Drained: the worker is going away.
            Fenced: the part was taken from this slice.
        """
        told = self._control.check()
        if told or time.monotonic() - self._looked >= LOOK_SECONDS:
            self.look()
        if release and self._is_over():
            raise SliceOver

    def _is_over(self) -> bool:
        rests = self.lease.part.phase is Phase.RUN and self.job.rests(now())
        return rests or time.monotonic() - self._began >= self._slice_seconds

    def breathe(self, rows_per_second: float, chunk: ChunkDone | None = None) -> None:
        """Show life, so that the parent renews the lease during a long step; then check for commands as in ``step``."""
        self._alive = time.monotonic()
        self._control.report(Alive(run=self._run, rows_per_second=rows_per_second, chunk=chunk))
        self.step(release=False)

    def wait(self, seconds: float) -> None:
        """Wait for another process for at most ``seconds``, then show life."""
        self._control.rest(seconds)
        self.breathe(0.0)

    def look(self) -> None:
        """Read again what may have changed: whether the part is still ours, the job, its limits, which parts wait.

        Raises:
            Fenced: the part was taken from this slice.
        """
        self._looked = time.monotonic()
        try:
            self.lease.look()
            document = self.db.jobs.find_one({"_id": self.job.id})
            if document is not None:
                self.job = Job.model_validate(document)
            self._pace.limit(share(self.db, self.lease.part, self.job.max_rows_per_second))
            self._slice_seconds = queue_behind(self.db, self.lease.part).slice_seconds
        except PyMongoError as error:  # the next commit meets the same trouble, and waits until it is over
            if not retryable(error):
                raise

    def _rest(self, rows: int, *, since: float) -> None:
        """Wait as long as the job's rate limit asks for. A limit that changes meanwhile counts from the next look on.

        Raises:
            SliceOver: the slice's time is over, or the worker is drained: the job rests without a slot.
        """
        while (seconds := self._pace.owed(rows=rows, seconds=time.monotonic() - since)) > 0:
            if seconds > LOOK_SECONDS and self._is_over():
                raise SliceOver(owed=self.job.rest_from(now(), seconds))
            self._control.rest(min(seconds, LOOK_SECONDS))
            try:
                self.breathe(self._rows_per_second)
            except Drained:
                raise SliceOver(owed=self.job.rest_from(now(), seconds)) from None

    def _paused_over_limit(self) -> Ending | None:
        """Pause the job if more of its rows were rejected than are allowed. Return ``None`` if it goes on."""
        reason = reasons.over_limit(self.db, self.job, self.task)
        if reason is None:
            return None
        commits.over_limit(self.lease, reason)
        return Ending.FAILED
