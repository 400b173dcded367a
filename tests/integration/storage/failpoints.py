"""Failures that the server makes on purpose, for one client alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collect.storage.database import Database


@contextmanager
def failing(db: Database, command: str, *, app_name: str, times: int, **data: Any) -> Iterator[None]:
    """The next ``times`` of ``command`` by the client named ``app_name`` fail as ``data`` says. At least one has to."""
    fail = {"failCommands": [command], "appName": app_name, **data}
    configure = {"configureFailPoint": "failCommand"}
    failed = db.client.admin.command({**configure, "mode": {"times": times}, "data": fail})["count"]
    try:
        yield
    finally:
        failed_now = db.client.admin.command({**configure, "mode": "off"})["count"]
    assert failed_now > failed, "nothing has failed"


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
