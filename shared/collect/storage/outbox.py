"""The outbox: messages to publish, written in the same transaction as the change that they announce."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ulid import ULID

from collect.jobs.model import Job, Part
from collect.jobs.states import State
from collect.messaging import topology
from collect.messaging.messages import JobEvent, Message, RunPart, encode

if TYPE_CHECKING:
    from collect.storage.database import Database


@dataclass(frozen=True, kw_only=True)
class OutboxEntry:
    """A message to publish. ``mandatory``: it counts as delivered only if a queue has taken it."""

    id: str
    exchange: str
    routing_key: str
    body: str
    mandatory: bool

    def insertion(self) -> list[dict[str, Any]]:
        """Return the update pipeline that inserts it with the server's time.

        So its age does not depend on the clock of the machine that commits it.
        """
        fields = {
            "exchange": self.exchange,
            "routing_key": self.routing_key,
            "body": self.body,
            "mandatory": self.mandatory,
        }
        return [{"$replaceWith": {"$mergeObjects": [{"$literal": fields}, {"_id": self.id, "at": "$$NOW"}]}}]

    @property
    def route(self) -> tuple[str, str]:
        """The exchange and the routing key."""
        return self.exchange, self.routing_key


def run_part(part: Part, *, traceparent: str | None) -> OutboxEntry:
    """Return the message that offers a part to the workers. It has the part's ticket."""
    message = RunPart(job_id=part.job_id, part=part.n, kind=part.kind, ticket=part.ticket)
    return _entry(message, topology.run_part_route(part.kind), traceparent=traceparent, mandatory=True)


def job_event(job: Job, *, source: State | None, reason: str) -> OutboxEntry:
    """Return the event that announces a change of the job's state to other systems. It is not mandatory."""
    message = JobEvent(
        job_id=job.id,
        org_id=job.org_id,
        kind=job.kind,
        source=source.value if source else None,
        target=job.state.value,
        reason=reason,
        seq=job.audit_seq,
        at=datetime.now(UTC),
    )
    route = topology.event_route(job.kind, job.state.value)
    return _entry(message, route, traceparent=job.traceparent, mandatory=False)


def _entry(message: Message, route: tuple[str, str], *, traceparent: str | None, mandatory: bool) -> OutboxEntry:
    return OutboxEntry(
        id=str(ULID()).lower(),
        exchange=route[0],
        routing_key=route[1],
        body=encode(message, traceparent=traceparent).decode(),
        mandatory=mandatory,
    )


def overdue(
    db: Database, *, older_than_seconds: float, limit: int, without: Collection[tuple[str, str]] = ()
) -> list[OutboxEntry]:
    """Return at most ``limit`` entries that are older than this by the server's clock, oldest first.

    The processes that committed them did not publish them. ``without``: routes (exchange, routing key) to leave out.
    """
    before = {"$subtract": ["$$NOW", round(older_than_seconds * 1000)]}
    query: dict[str, Any] = {"$expr": {"$lt": ["$at", before]}}
    if without:
        query["$nor"] = [{"exchange": exchange, "routing_key": key} for exchange, key in without]
    found = db.outbox.find(query, {"at": 0}).sort("at", 1).limit(limit)
    return [OutboxEntry(id=document.pop("_id"), **document) for document in found]


def delete(db: Database, ids: Iterable[str]) -> None:
    """Delete entries that the broker has confirmed. Idempotent."""
    db.outbox.delete_many({"_id": {"$in": list(ids)}})
