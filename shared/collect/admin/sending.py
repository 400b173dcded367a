"""Inserts many documents on a few connections while the next documents are made."""

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
    """The progress: documents inserted, and seconds since the beginning."""

    rows: int
    seconds: float


def send(into: Collection[Document], blocks: Iterable[Documents], *, report: Callable[[Sent], None]) -> Sent:
    """Insert all ``blocks``, a few at a time, roughly in their order. Blocks until all are stored.

    ``report`` is called in this thread after each block. After a failure no further block is begun, the blocks under
    way are waited for, and the error is raised. Some of the documents are stored then.

    Raises:
        Conflict: an id exists already.
    """
    began = time.monotonic()
    sent = Sent(0, 0.0)
    under_way: deque[tuple[int, Future[None]]] = deque()

    def wait(*, down_to: int) -> None:
        nonlocal sent
        while len(under_way) > down_to:
            count, future = under_way.popleft()
            try:
                future.result()
            except BulkWriteError as error:  # its message would name each of thousands
                taken = "Some ids exist already. Is another command adding responses at the same time?"
                raise Conflict(
                    f"{taken} {sent.rows:,} responses were added. Run the command again to add more."
                ) from error
            sent = Sent(sent.rows + count, time.monotonic() - began)
            report(sent)

    with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="sending") as pool:
        for block in blocks:
            wait(down_to=CONNECTIONS)
            under_way.append((block.count, pool.submit(bulk_insert.insert, into, block)))
        wait(down_to=0)
    return sent
