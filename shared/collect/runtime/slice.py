"""One slice: from the claim of a part to its release."""

from __future__ import annotations

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from collect.errors import Abandoned, Drained
from collect.jobs.model import Job, Part
from collect.observability import logs, traces
from collect.protocol.lease import Lease, claim, claimed_and_cut
from collect.runtime.ipc import Claimed, Ended, Ending, Run
from collect.runtime.pacing import Pace
from collect.runtime.part_run import LOOK_SECONDS, PartRun
from collect.runtime.slot_pipe import Control
from collect.runtime.task import Task
from collect.storage import jobs
from collect.storage.database import Database, retryable

_MAY_BE_KILLED = frozenset({Ending.FENCED, Ending.ABANDONED})
"""The endings after which the slot takes a new session.

The old session is still recorded on the part, or on the verb that cut it, so another process may kill it at any time.
"""


class Slice:
    """Runs slices in a slot, one at a time. Blocking; a slice ends at most one chunk after the command to end."""

    def __init__(self, *, db: Database, task: Task, control: Control, owner: str, lease_seconds: float) -> None:
        self._db = db
        self._task = task
        self._control = control
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._pace = Pace(task.rows)
        self._job_id = ""
        self._session = self._new_session()

    def _new_session(self) -> ClientSession:
        """Return a new database session, which is never ended.

        The driver would use an ended session for other statements. Killing the session would then kill those, too.
        """
        return self._db.client.start_session(causal_consistency=True)

    def run(self, command: Run) -> Ended:
        """Claim the part and work on it until the slice is over. Blocking.

        Before it returns, everything that the slice must publish has been reported to the parent.
        """
        ending = self._run(command, self._session)
        if ending in _MAY_BE_KILLED:
            self._session = self._new_session()
        return Ended(run=command.run, ending=ending)

    def _run(self, command: Run, session: ClientSession) -> Ending:
        try:
            claimed = self._claim(command, session)
        except Drained:
            return Ending.UNTOUCHED
        except Abandoned:
            return Ending.ABANDONED
        return Ending.FORGOTTEN if claimed is None else self._hold(command, *claimed, session)

    def _claim(self, command: Run, session: ClientSession) -> tuple[Part, Job] | None:
        part: Part | None = None
        session_id, unanswered = self._db.session_id(session), False
        while True:
            self._control.check()
            try:
                part = part or claim(
                    self._db,
                    command.ticket,
                    redelivered=command.redelivered,
                    owner=self._owner,
                    session_id=session_id,
                    lease_seconds=self._lease_seconds,
                )
                if unanswered:  # a verb that has cut the part meanwhile waits until this slot reports that it is free
                    part = part or claimed_and_cut(self._db, command.ticket, session_id=session_id)
                return None if part is None else (part, jobs.get(self._db, org_id=part.org_id, job_id=part.job_id))
            except PyMongoError as error:
                if not retryable(error):
                    raise
                unanswered = True
                self._control.rest(LOOK_SECONDS)

    def _hold(self, command: Run, part: Part, job: Job, session: ClientSession) -> Ending:
        self._control.report(Claimed(run=command.run, part=part, session_id=self._db.session_id(session)))
        if job.id != self._job_id:  # the time of one job's chunks says nothing about another job's
            self._job_id, self._pace = job.id, Pace(self._task.rows)
        self._pace.at_most(self._task.rows.most)  # an earlier part had chunks that were too big; this one may not
        lease = Lease(
            db=self._db, session=session, part=part, lease_seconds=self._lease_seconds, rest=self._control.rest
        )
        links = [command.traceparent, job.traceparent]
        with (
            logs.bound(job=part.job_id, part=part.n, epoch=part.epoch, org=part.org_id),
            traces.slice_span(
                kind=part.kind, phase=part.phase.value, job_id=part.job_id, part=part.n, links=links
            ) as span,
        ):
            lease.traceparent = traces.current_traceparent()
            part_run = PartRun(
                db=self._db, task=self._task, control=self._control, lease=lease, job=job, run=command.run,
                pace=self._pace,
            )  # fmt: skip
            ending = part_run.work()
            traces.slice_ended(span, ending=ending.value, seq=lease.part.seq, epoch=lease.part.epoch)
        if ending is not Ending.ABANDONED:
            part_run.publish()
        return ending
