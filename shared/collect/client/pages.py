"""Reads lists that the API returns page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from collect.api.answers import Answer
from collect.client.transport import Transport

A = TypeVar("A", bound=Answer)

LARGEST_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Page(Generic[A]):
    """One page of a list. ``next_cursor``: the cursor of the next page, or ``None`` for the last page."""

    items: list[A]
    next_cursor: str | None


def page(transport: Transport, path: str, model: type[A], params: Mapping[str, Any]) -> Page[A]:
    """Return one page of a list."""
    body, _ = transport.json("GET", path, params={key: value for key, value in params.items() if value is not None})
    return Page(items=[model.model_validate(item) for item in body["items"]], next_cursor=body.get("next_cursor"))


def every(
    transport: Transport, path: str, model: type[A], params: Mapping[str, Any] | None = None, *, most: int | None = None
) -> Iterator[A]:
    """Yield all items of a list, or the first ``most``. A page is requested only when it is reached."""
    left = most
    cursor: str | None = None
    while left is None or left > 0:
        size = LARGEST_PAGE if left is None else min(left, LARGEST_PAGE)
        found = page(transport, path, model, {**(params or {}), "limit": size, "cursor": cursor})
        yield from found.items
        left = None if left is None else left - len(found.items)
        cursor = found.next_cursor
        if cursor is None:
            return
