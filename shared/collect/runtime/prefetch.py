"""Prefetch: a thread makes the next chunk while the last one is committed, as a commit mostly waits for the server."""

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
"""The event that tells a thread which makes items that they are no longer needed. ``None`` in all other threads."""


class Unwanted(Exception):
    """The signal, in a thread that makes items, that its items are no longer needed."""


@contextmanager
def ahead(source: Iterator[T], *, hear: Callable[[], None], eager: bool = True) -> Iterator[Iterator[T]]:
    """Yield an iterator over the items of ``source``, which a thread of its own makes ahead of their use.

    One item is ready and one more is being made. Without ``eager``, an item is made only when it is asked for.

    ``hear`` is called every :data:`HEAR_SECONDS` while no item is ready. An error that it raises ends the wait. An
    error that ``source`` raises is raised where the next item is asked for. The end of the ``with`` block does not wait
    for the item that is being made: the thread ends by itself after it.

    Calls may be nested: the outer ``source`` may use items that an inner call makes ahead. When the outer block ends,
    the wait for an inner item ends within :data:`HEAR_SECONDS`.

    Raises:
        Unwanted: in the thread of the outer call, where it waits for an inner item, after the outer block has ended.
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
        except Exception as error:  # noqa: BLE001 - the boundary of the thread: raised again in the waiting thread
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
    """Return whether the items that this thread makes are no longer needed. False in a thread that makes none."""
    over = _over.get()
    return over is not None and over.is_set()


class _End:
    """The mark behind the last item. ``error``: what ``source`` raised, if that ended it."""

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
    """Take an item out of the queue, so that a thread that is blocked on putting one goes on and sees the end."""
    try:
        ready.get_nowait()
    except Empty:
        return
