"""What people ask, as transactions of the model."""

from collections.abc import Callable

from model.stores import (
    AT_REST,
    STARTED,
    WRITING,
    Database,
    Neighbour,
    Part,
    Phase,
    Status,
    cut,
    dequeue,
    forgiven,
    publish_parts,
    start_undo,
)


def pause(db: Database, window: int) -> Database | None:
    return cut(db)._replace(job=db.job._replace(state="paused")) if db.job.state in WRITING else None


def resume(db: Database, window: int) -> Database | None:
    if db.job.state == "paused":
        return publish_parts(db._replace(job=db.job._replace(state="queued")), window)
    if db.job.state == "failed" and not db.line:
        return publish_parts(forgiven(db)._replace(job=db.job._replace(state="queued"), line=(0,)), window)
    return None


def stop(db: Database, window: int) -> Database | None:
    if db.job.state not in STARTED:
        return None
    return dequeue(cut(db)._replace(job=db.job._replace(state="stopped")), 0, window)


def terminate(db: Database, window: int) -> Database | None:
    return start_undo(db, window, "terminating", "terminated") if db.job.state in STARTED else None


def undo(db: Database, window: int) -> Database | None:
    if db.job.state in AT_REST and not db.line:
        return start_undo(db._replace(line=(0,)), window, "undoing", "undone")
    if db.job.state == "undo_failed":
        busy = "terminating" if db.job.undo_target == "terminated" else "undoing"
        return publish_parts(forgiven(db)._replace(job=db.job._replace(state=busy)), window)
    return None


def correct(db: Database, window: int) -> Database | None:
    """Corrected rejects become one more part of the same job."""
    free = db.job.state == "paused" or (db.job.state in ("succeeded", "failed") and not db.line)
    zero = db.parts[0]
    plans = zero.phase is Phase.PLAN and zero.status is not Status.DONE
    if not free or plans or not any(part.seq for part in db.parts):
        return None
    more = Part(Status.IDLE, Phase.RUN, effects=(0,) * max(len(part.effects) for part in db.parts))
    zero = zero._replace(status=Status.DONE) if zero.phase is Phase.FINISH else zero
    job = db.job._replace(parts_left=db.job.parts_left + 1)
    db = db._replace(parts=(zero, *db.parts[1:], more), job=job)
    if job.state == "paused":
        return db
    if job.state == "failed":
        db = forgiven(db)
    return publish_parts(db._replace(job=job._replace(state="queued", result=False), line=(0,)), window)


def create_behind(db: Database, window: int) -> Database | None:
    if db.neighbour is not Neighbour.NONE:
        return None
    if db.line:
        return db._replace(line=(*db.line, 1), neighbour=Neighbour.WAITING)
    return db._replace(line=(1,), neighbour=Neighbour.STARTED, starts=1)


def supersede(db: Database, window: int) -> Database | None:
    """Job 1 replaces job 0."""
    if db.neighbour is not Neighbour.NONE:
        return None
    if db.job.state in AT_REST:
        behind = db._replace(neighbour=Neighbour.WAITING, line=(0, 1))
        return None if db.line else start_undo(behind, window, "undoing", "undone")
    if not db.line:
        return db._replace(neighbour=Neighbour.STARTED, starts=1, line=(1,))
    behind = db._replace(neighbour=Neighbour.WAITING, line=(*db.line, 1))
    if db.job.state in STARTED:
        return terminate(behind, window)
    return undo(behind, window) if db.job.state == "undo_failed" else behind


def drop_the_waiting(db: Database, window: int) -> Database | None:
    """Job 1 is terminated while it waits."""
    if db.neighbour is not Neighbour.WAITING:
        return None
    return dequeue(db._replace(neighbour=Neighbour.GONE), 1, window)


def holder_ends(db: Database, window: int) -> Database | None:
    """Job 1, which held the dataset before job 0, comes to its end."""
    if db.neighbour is not Neighbour.STARTED:
        return None
    return dequeue(db._replace(neighbour=Neighbour.GONE), 1, window)


VERBS: dict[str, Callable[[Database, int], Database | None]] = {
    "pause": pause,
    "resume": resume,
    "stop": stop,
    "terminate": terminate,
    "undo": undo,
    "correct": correct,
    "create": create_behind,
    "supersede": supersede,
    "drop": drop_the_waiting,
    "end": holder_ends,
}
TAKING_BACK = ("undo", "supersede")
OF_THE_NEIGHBOUR = ("create", "drop", "end")
