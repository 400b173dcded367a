"""Lists in pages. A cursor says where to go on; it is opaque, and what cannot be one is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from collect.api.answers import Page
from collect.errors import InvalidInput

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR_CHARACTERS = 6_000
"""The `_id` of a row can be long; a request line has 8,190."""
_LARGEST = 2**53

P = TypeVar("P", str, int)
T = TypeVar("T")


class PageQuery(BaseModel):
    """`?limit=` and `?cursor=`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: str | None = None


def page(items: Sequence[T], following: str | int | None) -> Page[T]:
    """Return a page of a list. ``following``: where the next page begins; ``None`` on the last page."""
    return Page(items=list(items), next_cursor=cursor(following))


def cursor(following: str | int | None) -> str | None:
    """Return the cursor of the page that begins at ``following``; ``None`` for no page."""
    return None if following is None else _written(following)


def place(query: PageQuery, kind: type[P]) -> P | None:
    """Where the page begins, as ``kind``.

    Raises:
        InvalidInput: malformed: the cursor is none of ours.
    """
    if query.cursor is None:
        return None
    if len(query.cursor) > MAX_CURSOR_CHARACTERS:
        raise _forged()
    try:
        value = json.loads(base64.urlsafe_b64decode(query.cursor.encode("ascii")))
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError) as error:
        raise _forged() from error
    if type(value) is not kind or (isinstance(value, int) and not 0 <= value < _LARGEST):
        raise _forged()
    return value


def one_of_all(
    query: PageQuery, items: Sequence[T], kind: type[P], place_of: Callable[[T], P]
) -> tuple[list[T], P | None]:
    """The page of a list that is so short that all of it is at hand, in the order of ``place_of``; and its last place.

    Raises:
        InvalidInput: malformed: the cursor is none of ours.
    """
    after = place(query, kind)
    left = [item for item in items if after is None or place_of(item) > after]
    found = left[: query.limit]
    return found, place_of(found[-1]) if len(left) > len(found) else None


def two(following: tuple[int, int]) -> str:
    """Where a list goes on that is ordered by two numbers, for :func:`page`."""
    return ".".join(map(str, following))


def place_of_two(query: PageQuery) -> tuple[int, int] | None:
    """Where the page of such a list begins.

    Raises:
        InvalidInput: malformed: the cursor is none of ours.
    """
    text = place(query, str)
    if text is None:
        return None
    first, _, second = text.partition(".")
    if not all(number.isascii() and number.isdigit() and int(number) < _LARGEST for number in (first, second)):
        raise _forged()
    return int(first), int(second)


def _written(value: str | int) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode("ascii")


def _forged() -> InvalidInput:
    return InvalidInput("This cursor is not one that was given out here.", code="bad_cursor", malformed=True)
