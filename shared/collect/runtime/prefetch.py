"""Making the next chunk while the last one is being committed: most of a commit is waiting for the server."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from queue import Empty, Queue
from typing import TypeVar

T = TypeVar("T")

HEAR_SECONDS = 0.1

_over: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("over", default=None)
"""In a thread that makes items: set when nobody waits for them any more."""


class Unwanted(Exception):
    """Nobody waits any more for what this thread is making."""


@contextmanager
def ahead(source: Iterator[T], *, hear: Callable[[], None], eager: bool = True) -> Iterator[Iterator[T]]:
    """The items of ``source``, made by a thread of their own: one is ready, and one more is on its way.

    Without ``eager`` each is made when it is asked for, and none for nothing.

    ``hear`` is called every :data:`HEAR_SECONDS` in which none is ready; what it raises ends the waiting. What
    ``source`` raises is raised in its place. At the end nobody waits for the item that is on its way.

    Where ``source`` itself waits for items that are made ahead, it is told within :data:`HEAR_SECONDS` that nobody
    waits for it.

    Raises:
        Unwanted: there, where the next item is waited for.
    """
    ready: Queue[T | _End] = Queue(maxsize=1)
    over = threading.Event()
    asked = threading.Semaphore(0)

    def wanted() -> bool:
        if not eager:
            asked.acquire()
        return not over.is_set()

    def make() -> None:
        _over.set(over)
        end = _End()
        try:
            while wanted() and (item := next(source, end)) is not end:
                ready.put(item)
        except Exception as error:  # noqa: BLE001 - the boundary of the thread: raised again where it is waited for
            end = _End(error)
        finally:
            if isinstance(source, Generator):
                source.close()
        if not over.is_set():
            ready.put(end)

    def items() -> Iterator[T]:
        while True:
            asked.release()
            if isinstance(item := _next(ready, hear), _End):
                break
            yield item
        if item.error is not None:
            raise item.error

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(make,), name="ahead", daemon=True).start()
    try:
        yield items()
    finally:
        over.set()
        asked.release()
        _make_room(ready)


def is_unwanted() -> bool:
    """Return whether nobody waits any more for what this thread is making."""
    over = _over.get()
    return over is not None and over.is_set()


class _End:
    """Nothing comes any more."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def _next(ready: Queue[T | _End], hear: Callable[[], None]) -> T | _End:
    while True:
        try:
            return ready.get(timeout=HEAR_SECONDS)
        except Empty:
            if is_unwanted():
                raise Unwanted from None
            hear()


def _make_room(ready: Queue[T | _End]) -> None:
    """For what is being put at this moment, so that the thread sees that it is over."""
    try:
        ready.get_nowait()
    except Empty:
        return
