"""Many documents, sent on a few connections at once while the next ones are being made."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from collect.errors import Conflict
from collect.storage import bulk_insert
from collect.storage.bulk_insert import Documents
from collect.storage.database import Document

CONNECTIONS = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """How far it is."""

    rows: int
    seconds: float


def send(into: Collection[Document], blocks: Iterable[Documents], *, tell: Callable[[Sent], None]) -> Sent:
    """Insert all of ``blocks``, a few at a time, about in their order. Blocks until they are there.

    ``tell`` is called in this thread after each block. When one fails no more are begun, those that were are waited
    for, and the failure is raised: what is there then is some of the documents.

    Raises:
        Conflict: a key is taken.
    """
    began = time.monotonic()
    sent = Sent(0, 0.0)
    under_way: deque[tuple[int, Future[None]]] = deque()

    def settle(*, down_to: int) -> None:
        nonlocal sent
        while len(under_way) > down_to:
            count, future = under_way.popleft()
            try:
                future.result()
            except BulkWriteError as error:  # which would name each of thousands
                taken = "Some of the ids are taken: does somebody else add responses at the same time?"
                raise Conflict(f"{taken} {sent.rows:,} were added before. Call again to add more.") from error
            sent = Sent(sent.rows + count, time.monotonic() - began)
            tell(sent)

    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="sending") as pool:
        for block in blocks:
            settle(down_to=CONNECTIONS)
            under_way.append((block.count, pool.submit(bulk_insert.insert, into, block)))
        settle(down_to=0)
    return sent
