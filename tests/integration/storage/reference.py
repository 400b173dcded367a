"""A small model of what the storage code promises: states, the line before a dataset, and the documents.

It knows no epochs, tickets, leases or messages: whatever becomes of those, the promise is the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collect.jobs.states import State, Verb
from integration.storage.hands import BLOCK, Row

RUNNABLE = (State.QUEUED, State.RUNNING)
STARTED = (*RUNNABLE, State.PAUSED)
IN_LINE = (*STARTED, State.TERMINATING, State.UNDOING, State.UNDO_FAILED)
AT_REST = (State.SUCCEEDED, State.STOPPED, State.FAILED)
TAKEN_BACK = (State.TERMINATED, State.UNDONE)

Moves = Iterable[tuple[State, State]]
BEGIN: Moves = [(State.QUEUED, State.RUNNING)]
FAIL: Moves = [
    *((state, State.FAILED) for state in RUNNABLE),
    (State.TERMINATING, State.UNDO_FAILED),
    (State.UNDOING, State.UNDO_FAILED),
]


@dataclass
class Document:
    """A stored row: whose mark it carries, and where in its file it stood."""

    value: int
    row: int
    mark: str


@dataclass
class Dataset:
    """What is stored. A chunk and the undo of a chunk happen to it as a whole, or not at all."""

    documents: dict[str, Document] = field(default_factory=dict)
    before: dict[str, dict[str, Document | None]] = field(default_factory=dict)
    """Entry → what stood where it touched a document first."""

    def write(self, job_id: str, entry: str, first_row: int, block: list[Row]) -> None:
        record = self.before[entry] = {}
        for number, (key, value) in enumerate(block, first_row):
            old = self.documents.get(key)
            if old is not None and old.mark.startswith(f"{job_id}:"):
                if old.row < number:
                    self.documents[key] = Document(value=value, row=number, mark=old.mark)
                continue
            record[key] = old
            self.documents[key] = Document(value=value, row=number, mark=entry)

    def take_back(self, entry: str) -> None:
        for key, old in self.before[entry].items():
            stands = self.documents.get(key)
            if stands is None or stands.mark != entry:
                continue
            if old is None:
                del self.documents[key]
            else:
                self.documents[key] = old

    def edit(self, key: str, value: int) -> None:
        """A person writes over it: from then on it is nobody's."""
        if key in self.documents:
            self.documents[key] = Document(value=value, row=0, mark="somebody")


@dataclass
class Reference:
    """One job as people see it."""

    id: str
    content: list[list[Row]]
    state: State
    base: dict[str, Document]
    """What the dataset held when it wrote its first row."""
    last: Verb | None = None
    wrote: bool = False
    conflicts: int = 0

    def answer(self, verb: Verb, *, line: list[str]) -> State | None:
        """The state after ``verb``; ``None``: refused. A repeat leaves the state as it is."""
        free = line in ([], [self.id])
        if verb is self.last and self._repeats(verb):
            return self.state
        match verb:
            case Verb.CONFIRM if self.state is State.AWAITING_CONFIRMATION:
                return State.QUEUED if free else None
            case Verb.PAUSE if self.state in RUNNABLE:
                return State.PAUSED
            case Verb.RESUME if self.state is State.PAUSED or (self.state is State.FAILED and free):
                return State.QUEUED
            case Verb.STOP if self.state in (*STARTED, State.AWAITING_CONFIRMATION):
                return State.STOPPED
            case Verb.TERMINATE if self.state in (*STARTED, State.AWAITING_CONFIRMATION):
                return State.TERMINATING if self.wrote else State.TERMINATED
            case Verb.UNDO if self.state is State.UNDO_FAILED:
                return State.UNDOING
            case Verb.UNDO if self.state in AT_REST and free:
                return State.UNDOING if self.wrote else State.UNDONE
            case Verb.UNDO if self.state in TAKEN_BACK and self.conflicts and free:
                return State.UNDOING
        return None

    def _repeats(self, verb: Verb) -> bool:
        match verb:
            case Verb.PAUSE:
                return self.state is State.PAUSED
            case Verb.RESUME | Verb.CONFIRM:
                return self.state in RUNNABLE
            case Verb.STOP:
                return self.state is State.STOPPED
            case Verb.TERMINATE:
                return self.state in (State.TERMINATING, State.TERMINATED)
            case Verb.UNDO:
                return self.state is State.UNDOING or (self.state is State.UNDONE and not self.conflicts)
        return False

    def first_row(self, n: int, seq: int) -> int:
        """The row number with which chunk ``seq`` of part ``n`` begins. Part 0 writes when it is the only one."""
        return 1 + sum(len(part) for part in self.content[: max(n, 1) - 1]) + seq * BLOCK

    def block(self, n: int, seq: int) -> list[Row]:
        return self.content[max(n, 1) - 1][seq * BLOCK : (seq + 1) * BLOCK]

    def top_to_bottom(self) -> dict[str, int]:
        """What reading the file from top to bottom leaves: the last row with a key wins."""
        return {key: value for part in self.content for key, value in part}
