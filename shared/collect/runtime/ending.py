"""The end of a slice: wait until this slot writes no object to the blob store any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pymongo.errors import PyMongoError

from collect.errors import Abandoned, CollectError, Fenced, StopSignal
from collect.jobs.model import Rest
from collect.runtime.task import Chunk, StoredChunks

LOOK_SECONDS = 0.1


class SliceOver(Exception):
    """The signal that the slice's time is over and its part is released.

    ``owed``: how long the job rests after that, by its own rate limit. ``None``: it does not rest.
    """

    def __init__(self, *, owed: Rest | None = None) -> None:
        super().__init__()
        self.owed = owed


_ENDS = (StopSignal, SliceOver, CollectError, PyMongoError)


@contextmanager
def nothing_stored_behind(chunks: Iterator[Chunk], *, show_life: Callable[[], None]) -> Iterator[None]:
    """Wait, when the slice ends early, until no object is being written. After a fence, remove what was stored, too.

    So nothing is being written when a part is released, or when its owner reports that it has let go of it. Blocking.

    ``show_life`` is called during the wait, as long as the slice still has the right to write. A slice that was fenced
    or abandoned shows no life, so that its parent kills it if the store hangs.
    """
    try:
        yield
    except _ENDS as reason:
        if isinstance(chunks, StoredChunks):
            _end(chunks, show_life, lives=not isinstance(reason, Fenced | Abandoned))
            if isinstance(reason, Fenced):  # only then is the outcome of each of its commits known
                chunks.forget()
        raise


def _end(chunks: StoredChunks, show_life: Callable[[], None], *, lives: bool) -> None:
    while not chunks.end(LOOK_SECONDS):
        if lives:
            try:
                show_life()
            except StopSignal:
                lives = False
