"""The states of a job and every legal move between them, as data.

The diagram in the docs, the API's 409 and ``allowed_verbs`` are made from :data:`MOVES`. Any other move is refused.
"""

from __future__ import annotations

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


_S, _T = State, Trigger

# fmt: off
MOVES: tuple[Move, ...] = (
    #    trigger        from                      to              why
    Move(_T.CONFIRM,    _S.AWAITING_CONFIRMATION, _S.QUEUED,      "the caller has seen its size, and confirms it"),
    Move(_T.PAUSE,      _S.QUEUED,                _S.PAUSED,      "it has not begun, and waits until it is resumed"),
    Move(_T.PAUSE,      _S.RUNNING,               _S.PAUSED,      "nothing more is written until it is resumed"),
    Move(_T.RESUME,     _S.PAUSED,                _S.QUEUED,      "it goes on from its cursors"),
    Move(_T.RESUME,     _S.FAILED,                _S.QUEUED,      "the cause of the failure was removed"),
    Move(_T.STOP,       _S.AWAITING_CONFIRMATION, _S.STOPPED,     "what was committed is kept, the rest is not run"),
    Move(_T.STOP,       _S.QUEUED,                _S.STOPPED,     "what was committed is kept, the rest is not run"),
    Move(_T.STOP,       _S.RUNNING,               _S.STOPPED,     "what was committed is kept, the rest is not run"),
    Move(_T.STOP,       _S.PAUSED,                _S.STOPPED,     "what was committed is kept, the rest is not run"),
    Move(_T.TERMINATE,  _S.AWAITING_CONFIRMATION, _S.TERMINATED,  "nothing was written, so nothing is taken back"),
    Move(_T.TERMINATE,  _S.QUEUED,                _S.TERMINATED,  "nothing was written, so nothing is taken back"),
    Move(_T.TERMINATE,  _S.RUNNING,               _S.TERMINATED,  "nothing was written, so nothing is taken back"),
    Move(_T.TERMINATE,  _S.PAUSED,                _S.TERMINATED,  "nothing was written, so nothing is taken back"),
    Move(_T.TERMINATE,  _S.QUEUED,                _S.TERMINATING, "what was written is taken back"),
    Move(_T.TERMINATE,  _S.RUNNING,               _S.TERMINATING, "what was written is taken back"),
    Move(_T.TERMINATE,  _S.PAUSED,                _S.TERMINATING, "what was written is taken back"),
    Move(_T.UNDO,       _S.SUCCEEDED,             _S.UNDOING,     "what was written is taken back"),
    Move(_T.UNDO,       _S.STOPPED,               _S.UNDOING,     "what was written is taken back"),
    Move(_T.UNDO,       _S.FAILED,                _S.UNDOING,     "what was written is taken back"),
    Move(_T.UNDO,       _S.UNDO_FAILED,           _S.UNDOING,     "what was written is taken back"),
    Move(_T.UNDO,       _S.SUCCEEDED,             _S.UNDONE,      "nothing was written, so nothing is taken back"),
    Move(_T.UNDO,       _S.STOPPED,               _S.UNDONE,      "nothing was written, so nothing is taken back"),
    Move(_T.UNDO,       _S.FAILED,                _S.UNDONE,      "nothing was written, so nothing is taken back"),
    Move(_T.UNDO,       _S.UNDONE,                _S.UNDOING,     "the last undo left conflicts; they may be gone"),
    Move(_T.UNDO,       _S.TERMINATED,            _S.UNDOING,     "the last undo left conflicts; they may be gone"),
    Move(_T.CORRECT,    _S.SUCCEEDED,             _S.QUEUED,      "corrected rows are to be written"),
    Move(_T.CORRECT,    _S.FAILED,                _S.QUEUED,      "corrected rows and open parts are to be written"),
    Move(_T.CORRECT,    _S.PAUSED,                _S.PAUSED,      "corrected rows wait with the other rows"),
    Move(_T.BEGIN,      _S.QUEUED,                _S.RUNNING,     "a worker has claimed a part"),
    Move(_T.FINISH,     _S.QUEUED,                _S.SUCCEEDED,   "every part is done, and the task has finished"),
    Move(_T.FINISH,     _S.RUNNING,               _S.SUCCEEDED,   "every part is done, and the task has finished"),
    Move(_T.FAIL,       _S.QUEUED,                _S.FAILED,      "it cannot go on; what was committed is kept"),
    Move(_T.FAIL,       _S.RUNNING,               _S.FAILED,      "it cannot go on; what was committed is kept"),
    Move(_T.FAIL,       _S.TERMINATING,           _S.UNDO_FAILED, "it cannot go on, keeps the lock; undo tries again"),
    Move(_T.FAIL,       _S.UNDOING,               _S.UNDO_FAILED, "it cannot go on, keeps the lock; undo tries again"),
    Move(_T.TAKEN_BACK, _S.TERMINATING,           _S.TERMINATED,  "everything that could be taken back has been"),
    Move(_T.TAKEN_BACK, _S.UNDOING,               _S.UNDONE,      "everything that could be taken back has been"),
)
# fmt: on
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
