"""A slot in the test's own process: real slices on the real database, with a task of numbers and a listener."""

from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from threading import Thread
from typing import Any

from pymongo.client_session import ClientSession

from collect.jobs.model import Job, Part
from collect.protocol.lease import Ticket
from collect.runtime.ipc import Ended, Report, Run
from collect.runtime.slice import Slice
from collect.runtime.slot_pipe import Control
from collect.runtime.task import Applied, Chunk, ChunkRows, ChunkSize, PlannedPart, TakenBack
from collect.storage.database import Database
from support.protocol_driver import read_part

LEASE_SECONDS = 30.0


class Numbers:
    """A task whose rows are numbers and whose chunks write nothing; each takes as many as it may."""

    kind = "upload"
    rows = ChunkRows(first=4, fewest=4, most=8)

    def __init__(self) -> None:
        self.tried: list[int] = []
        """The rows of each chunk that was applied, those of another try included."""
        self.meanwhile: Callable[[], None] | None = None
        """Called once, when the first chunk has been made."""

    def plan(self, job: Job, after: Part | None) -> Iterator[PlannedPart | None]:
        yield PlannedPart(source={}, cursor={"row": 1}, total=12)

    def chunks(self, job: Job, part: Part, size: ChunkSize) -> Iterator[Chunk]:
        done = part.counts.done
        while done < part.total:
            rows = min(size.rows, part.total - done)
            done += rows
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            yield Chunk(cursor={"row": 1 + done}, rows=rows, payload=None)

    def apply(self, job: Job, part: Part, chunk: Chunk, *, entry_id: str, session: ClientSession) -> Applied:
        self.tried.append(chunk.rows)
        return Applied(succeeded=chunk.rows, rejected=0, created=0, changed=0, rejects=(), undo={})

    def undo(self, job: Job, record: dict[str, Any], *, entry_id: str, session: ClientSession) -> TakenBack:
        return TakenBack(deleted=0, restored=0, conflicts=())

    def sweep(self, job: Job) -> Iterator[None]:
        yield None

    def diagnose(self, job: Job) -> str | None:
        return None

    def finish(self, job: Job) -> Iterator[dict[str, Any] | None]:
        yield None


class Waiting(Control):
    """As a slot listens; while it waits for the first time, something happens."""

    meanwhile: Callable[[], object] | None = None

    def rest(self, seconds: float) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is None:
            super().rest(seconds)
        else:
            meanwhile()


class Slot:
    """Runs slices one after the other, as a slot's process does, and keeps what its parent would hear."""

    def __init__(self, db: Database, task: Numbers) -> None:
        self._db = db
        self.task = task
        self._parent, child = Pipe()
        self.control = Waiting(connection=child)
        self.slice = Slice(db=db, task=task, control=self.control, owner="slot", lease_seconds=LEASE_SECONDS)
        self._runs = 0

    def run(self, job: Job, n: int, *, redelivered: bool = False) -> list[Report]:
        """Run one slice of part ``n``, with its present ticket. Returns all that was said, its end included."""
        self._runs += 1
        ticket = Ticket(kind=job.kind, job_id=job.id, part=n, ticket=read_part(self._db, job, n).ticket)
        self._parent.send(Run(run=self._runs, ticket=ticket, redelivered=redelivered, traceparent=None))
        command = self.control.next_run()
        assert command is not None
        heard: list[Report] = []
        listener = Thread(target=self._listen, args=(heard,), daemon=True)
        listener.start()
        self.control.report(self.slice.run(command))
        listener.join(timeout=10)
        return heard

    def tell(self, command: object) -> None:
        """What the parent would send."""
        self._parent.send(command)

    def _listen(self, heard: list[Report]) -> None:
        while not heard or not isinstance(heard[-1], Ended):
            heard.append(self._parent.recv())
