"""The states of a job and every legal move between them, as data.

The diagram in the docs, the API's 409 and ``allowed_verbs`` are made from :data:`MOVES`. Any other move is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What is true of a job."""

    AWAITING_CONFIRMATION = "awaiting_confirmation"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"


class Verb(StrEnum):
    """What a person or a pipeline can ask of a job that exists."""

    CONFIRM = "confirm"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    TERMINATE = "terminate"
    UNDO = "undo"
    CORRECT = "correct"
    RESTART = "restart"


class Trigger(StrEnum):
    """The causes of moves: the verbs, and events of the running job (``begin`` and below).

    ``restart`` is not among them: it makes a new job and moves none.
    """

    CONFIRM = "confirm"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    TERMINATE = "terminate"
    UNDO = "undo"
    CORRECT = "correct"
    BEGIN = "begin"
    FINISH = "finish"
    FAIL = "fail"
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Move:
    """One legal move, and the reason why it is legal."""

    trigger: Trigger
    source: State
    target: State
    why: str


def _moves() -> Iterator[Move]:
    s, t = State, Trigger
    yield Move(t.CONFIRM, s.AWAITING_CONFIRMATION, s.QUEUED, "somebody has seen how big it is and wants it")
    yield Move(t.PAUSE, s.QUEUED, s.PAUSED, "it has not begun, and shall not yet")
    yield Move(t.PAUSE, s.RUNNING, s.PAUSED, "nothing more is written until it is resumed")
    yield Move(t.RESUME, s.PAUSED, s.QUEUED, "it goes on from its cursors")
    yield Move(t.RESUME, s.FAILED, s.QUEUED, "what made it fail has been mended")
    for source in (s.AWAITING_CONFIRMATION, s.QUEUED, s.RUNNING, s.PAUSED):
        yield Move(t.STOP, source, s.STOPPED, "what was committed is kept, the rest is not wanted")
        yield Move(t.TERMINATE, source, s.TERMINATED, "nothing was written, so nothing has to be taken back")
    for source in (s.QUEUED, s.RUNNING, s.PAUSED):
        yield Move(t.TERMINATE, source, s.TERMINATING, "what was written is taken back")
    for source in (s.SUCCEEDED, s.STOPPED, s.FAILED, s.UNDO_FAILED):
        yield Move(t.UNDO, source, s.UNDOING, "what was written is not wanted after all")
    for source in (s.SUCCEEDED, s.STOPPED, s.FAILED):
        yield Move(t.UNDO, source, s.UNDONE, "nothing was written, so nothing has to be taken back")
    for source in (s.UNDONE, s.TERMINATED):
        yield Move(t.UNDO, source, s.UNDOING, "conflicts were left, and may be gone by now")
    yield Move(t.CORRECT, s.SUCCEEDED, s.QUEUED, "rejected rows have been mended, and are to be written after all")
    yield Move(
        t.CORRECT, s.FAILED, s.QUEUED, "rejected rows have been mended; they and what was left are to be written"
    )
    yield Move(t.CORRECT, s.PAUSED, s.PAUSED, "rejected rows have been mended, and wait with the others")
    yield Move(t.BEGIN, s.QUEUED, s.RUNNING, "a worker has claimed a part")
    for source in (s.QUEUED, s.RUNNING):
        yield Move(t.FINISH, source, s.SUCCEEDED, "every part is done and the task has finished")
        yield Move(t.FAIL, source, s.FAILED, "it cannot go on; what was committed is kept")
    yield Move(t.TAKEN_BACK, s.TERMINATING, s.TERMINATED, "everything that could be taken back has been")
    yield Move(t.TAKEN_BACK, s.UNDOING, s.UNDONE, "everything that could be taken back has been")
    for source in (s.TERMINATING, s.UNDOING):
        yield Move(t.FAIL, source, s.UNDO_FAILED, "taking back cannot go on; the lock is kept, undo tries again")


MOVES: tuple[Move, ...] = tuple(_moves())
LEGAL = frozenset((move.trigger, move.source, move.target) for move in MOVES)

ACTIVE = frozenset({State.QUEUED, State.RUNNING, State.TERMINATING, State.UNDOING})
"""States in which parts of the job may be published."""
RESTING = frozenset(State) - ACTIVE
"""States in which no part of the job runs, until a verb or a timer changes the state."""
FINAL = frozenset({State.STOPPED, State.TERMINATED, State.SUCCEEDED, State.UNDONE})
"""States that a job leaves only by undo, or (succeeded) by a correction."""
WRITING = frozenset({State.QUEUED, State.RUNNING})
TAKING_BACK = frozenset({State.TERMINATING, State.UNDOING})
ENDED = FINAL | {State.FAILED, State.UNDO_FAILED}
"""States in which nothing more happens unless a caller asks for a verb. Long polls for ``final`` answer in them."""
HOLDING = frozenset({State.QUEUED, State.RUNNING, State.PAUSED, State.TERMINATING, State.UNDOING, State.UNDO_FAILED})
"""States in which the job is in its lock's queue. Exception: a queued job whose ``start_at`` has not come yet."""

REPEATS: dict[Verb, frozenset[State]] = {
    Verb.CONFIRM: frozenset({State.QUEUED, State.RUNNING}),
    Verb.PAUSE: frozenset({State.PAUSED}),
    Verb.RESUME: frozenset({State.QUEUED, State.RUNNING}),
    Verb.STOP: frozenset({State.STOPPED}),
    Verb.TERMINATE: frozenset({State.TERMINATING, State.TERMINATED}),
    Verb.UNDO: frozenset({State.UNDOING, State.UNDONE}),
    Verb.CORRECT: frozenset(),
    Verb.RESTART: frozenset(),
}
"""For each verb, the states in which it is a repeat if it was the job's last verb. A repeat writes nothing."""

RESTARTABLE = RESTING - {State.PAUSED, State.AWAITING_CONFIRMATION}
CONFLICTED = frozenset({State.UNDONE, State.TERMINATED})
"""States in which undo may be asked for again, if the last undo left conflicts."""
CORRECTED = frozenset(move.source for move in MOVES if move.trigger is Trigger.CORRECT)
"""States in which rejected rows may be corrected."""


def sources(verb: Verb) -> frozenset[State]:
    """Return the states from which ``verb`` does something. Conflicts and deadlines are not considered."""
    if verb is Verb.RESTART:
        return RESTARTABLE
    return frozenset(move.source for move in MOVES if move.trigger == verb.value)


def allowed_verbs(state: State, *, conflicts: int = 0, undo_open: bool = True, correctable: bool = False) -> list[Verb]:
    """Return the verbs that would change something now, in the order of :class:`Verb`.

    ``undo_open``: undo is still possible (``undo_until`` has not passed). ``correctable``: at least one rejected row
    can be corrected. ``correct`` needs ``undo_open`` too: rows that undo could not take back must not be written.
    """
    allowed = [verb for verb in Verb if state in sources(verb)]
    if state in CONFLICTED and not conflicts:
        allowed.remove(Verb.UNDO)
    if Verb.UNDO in allowed and not undo_open and state is not State.UNDO_FAILED:
        allowed.remove(Verb.UNDO)
    if Verb.CORRECT in allowed and not (correctable and undo_open):
        allowed.remove(Verb.CORRECT)
    return allowed
