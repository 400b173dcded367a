"""Failures that the server makes on purpose, for one client alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collect.storage.database import Database


@contextmanager
def failing(db: Database, command: str, *, app_name: str, times: int, **data: Any) -> Iterator[None]:
    """The next ``times`` of ``command`` by the client named ``app_name`` fail as ``data`` says."""
    fail = {"failCommands": [command], "appName": app_name, **data}
    db.client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": times}, "data": fail})
    try:
        yield
    finally:
        db.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


NOT_COMMITTED: dict[str, tuple[int, dict[str, Any]]] = {
    "the connection closes before the commit": (2, {"closeConnection": True}),
    "the commit is interrupted": (1, {"errorCode": 11601}),
    "the transaction is gone": (1, {"errorCode": 251, "errorLabels": ["TransientTransactionError"]}),
}
COMMITTED: dict[str, tuple[int, dict[str, Any]]] = {
    "committed, and the majority did not answer in time": (
        1, {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
    ),
    "committed, and the waiting was interrupted": (
        1, {"writeConcernError": {"code": 11601, "errmsg": "operation was interrupted"}},
    ),
}  # fmt: skip
OUTCOMES = {**NOT_COMMITTED, **COMMITTED}
"""How a commit may end without anybody being told whether it was one. Each with how often in a row, and how."""
