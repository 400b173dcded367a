"""Messages that must leave, written in the same transaction as what they tell of."""

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
    """One message on its way. ``mandatory``: without a queue that takes it, it has not been delivered."""

    id: str
    exchange: str
    routing_key: str
    body: str
    mandatory: bool

    def insertion(self) -> list[dict[str, Any]]:
        """The pipeline that inserts it, with the server's time: its age must not hang on its committer's clock."""
        fields = {
            "exchange": self.exchange,
            "routing_key": self.routing_key,
            "body": self.body,
            "mandatory": self.mandatory,
        }
        return [{"$replaceWith": {"$mergeObjects": [{"$literal": fields}, {"_id": self.id, "at": "$$NOW"}]}}]

    @property
    def route(self) -> tuple[str, str]:
        """Exchange and routing key."""
        return self.exchange, self.routing_key


def run_part(part: Part, *, traceparent: str | None) -> OutboxEntry:
    """The ticket of a part that has just been published."""
    message = RunPart(job_id=part.job_id, part=part.n, kind=part.kind, ticket=part.ticket)
    return _entry(message, topology.run_part_route(part.kind), traceparent=traceparent, mandatory=True)


def job_event(job: Job, *, source: State | None, reason: str) -> OutboxEntry:
    """What outsiders may hear of a move. Nobody has to listen."""
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
    """Entries whose committer did not get them out, oldest first, by the server's clock.

    ``without``: but not those of these routes (exchange, routing key).
    """
    before = {"$subtract": ["$$NOW", round(older_than_seconds * 1000)]}
    query: dict[str, Any] = {"$expr": {"$lt": ["$at", before]}}
    if without:
        query["$nor"] = [{"exchange": exchange, "routing_key": key} for exchange, key in without]
    found = db.outbox.find(query, {"at": 0}).sort("at", 1).limit(limit)
    return [OutboxEntry(id=document.pop("_id"), **document) for document in found]


def delete(db: Database, ids: Iterable[str]) -> None:
    """Forget entries that the broker has confirmed. Idempotent."""
    db.outbox.delete_many({"_id": {"$in": list(ids)}})
