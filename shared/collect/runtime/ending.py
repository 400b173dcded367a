"""The end of a slice: no object is being written any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pymongo.errors import PyMongoError

from collect.errors import Abandoned, CollectError, Fenced, StopSignal
from collect.jobs.model import Rest
from collect.runtime.task import Chunk, StoredChunks

LOOK_SECONDS = 0.1


class SliceOver(Exception):
    """The slice has had its time: release the part. ``owed``: how long its job is to rest then, by its own limit."""

    def __init__(self, *, owed: Rest | None = None) -> None:
        super().__init__()
        self.owed = owed


_ENDS = (StopSignal, SliceOver, CollectError, PyMongoError)


@contextmanager
def nothing_stored_behind(chunks: Iterator[Chunk], *, show_life: Callable[[], None]) -> Iterator[None]:
    """When the slice ends early, wait until no object is being written; one that was fenced forgets what it has stored.

    So a part that was given back, and an owner that says it has let go, have nothing under way. ``show_life`` is called
    while one that may go on waits. One that may not is silent, so that its parent ends it if the store hangs.
    """
    try:
        yield
    except _ENDS as reason:
        if isinstance(chunks, StoredChunks):
            _end(chunks, show_life, lives=not isinstance(reason, Fenced | Abandoned))
            if isinstance(reason, Fenced):  # so the outcome of each of its commits is known
                chunks.forget()
        raise


def _end(chunks: StoredChunks, show_life: Callable[[], None], *, lives: bool) -> None:
    while not chunks.end(LOOK_SECONDS):
        if lives:
            try:
                show_life()
            except StopSignal:
                lives = False
