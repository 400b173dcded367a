"""Items made by a thread, and what happens to those that nobody wants any more."""

import threading
from collections.abc import Iterator

import pytest

from collect.runtime.prefetch import Unwanted, ahead
from support.waiting import eventually


class Stopped(Exception):
    """What is heard while waiting."""


def nothing() -> None:
    """Nothing is heard."""


@pytest.mark.parametrize("eager", [True, False])
def test_all_items_come_in_their_order(eager: bool) -> None:
    with ahead(iter(range(50)), hear=nothing, eager=eager) as items:
        assert list(items) == list(range(50))


def test_the_next_item_is_made_while_this_one_is_worked_on() -> None:
    asked = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        asked.set()
        yield 2

    with ahead(source(), hear=nothing) as items:
        assert next(items) == 1
        assert asked.wait(30)


def test_an_error_comes_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("two")

    with ahead(source(), hear=nothing) as items:
        assert next(items) == 1
        with pytest.raises(LookupError, match="two"):
            next(items)


def test_what_is_heard_ends_the_waiting_for_an_item_that_takes_long() -> None:
    release = threading.Event()

    def source() -> Iterator[int]:
        release.wait(30)
        yield 1

    def hear() -> None:
        raise Stopped

    with pytest.raises(Stopped), ahead(source(), hear=hear) as items:
        next(items)
    release.set()


def test_none_is_made_before_it_is_asked_for_where_that_is_wanted() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for item in range(3):
            made.append(item)
            yield item

    with ahead(source(), hear=nothing, eager=False) as items:
        for item in items:
            assert made == list(range(item + 1))
            break
    eventually(lambda: all(thread.name != "ahead" for thread in threading.enumerate()), what="the thread to end")
    assert made == [0]


@pytest.mark.parametrize(
    ("eager", "taken"), [(True, 0), (True, 1), (True, 2), (True, 3), (False, 1), (False, 2), (False, 3)]
)
def test_a_source_that_is_not_wanted_any_more_is_closed(eager: bool, taken: int) -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            closed.set()

    with ahead(source(), hear=nothing, eager=eager) as items:
        for _ in range(taken):
            next(items)
    assert closed.wait(30)
    eventually(lambda: all(thread.name != "ahead" for thread in threading.enumerate()), what="the thread to end")


def test_what_waits_itself_hears_that_nobody_waits_for_it() -> None:
    freed, left = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        freed.wait(30)
        yield 1

    def source() -> Iterator[int]:
        try:
            with ahead(slow(), hear=nothing) as items:
                yield from items
        except Unwanted:
            left.set()
            raise

    def hear() -> None:
        raise Stopped

    with pytest.raises(Stopped), ahead(source(), hear=hear) as items:
        next(items)
    assert left.wait(10)
    freed.set()
