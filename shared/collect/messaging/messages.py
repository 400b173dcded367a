"""The messages, typed and versioned, and their envelope. They are JSON, and unknown fields are ignored."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from ulid import ULID

from collect.errors import Poison

MAX_BYTES = 64 * 1024
MAX_NUMBER = 2**63 - 1

Number = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
"""A number that the database can hold. A larger one would fail in each look-up, and its message come back for ever."""

_ID = re.compile(rb'"id"\s*:\s*"([0-9a-hjkmnp-tv-z]{26})"')


class Message(BaseModel):
    """The body of a message. A new version is a new class. One release reads it before the next one writes it."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    message_name: ClassVar[str]
    message_version: ClassVar[int] = 1


class RunPart(Message):
    """The offer of a part. The worker that gets it may claim the part once, with the ticket."""

    message_name: ClassVar[str] = "RunPart"

    job_id: str
    part: Number
    kind: str
    ticket: Number


class Poke(Message):
    """The message that something happened to a job: workers look now. If it is lost, they look within a second."""

    message_name: ClassVar[str] = "Poke"

    job_id: str
    kind: str


class SlotReport(BaseModel):
    """The state of one slot. ``rate``: rows per second. ``rss``: memory in bytes. ``cpu``: seconds so far."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str | None = None
    part: Number | None = None
    epoch: Number | None = None
    rate: FiniteFloat = 0.0
    rss: Number = 0
    cpu: FiniteFloat = 0.0


class Heartbeat(Message):
    """The message that a worker is alive, with the state of its slots."""

    message_name: ClassVar[str] = "Heartbeat"

    worker_id: str
    kind: str
    version: str
    slots: list[SlotReport]
    at: datetime


class JobEvent(Message):
    """The message, for other systems, that a job changed its state. ``source`` is null for a job that is new."""

    message_name: ClassVar[str] = "JobEvent"

    job_id: str
    org_id: str
    kind: str
    source: str | None = Field(alias="from")
    target: str = Field(alias="to")
    reason: str
    seq: Number
    at: datetime


_BY_NAME: dict[tuple[str, int], type[Message]] = {
    (message.message_name, message.message_version): message for message in (RunPart, Poke, Heartbeat, JobEvent)
}


class Envelope(BaseModel):
    """The envelope of every message: its name and version, an id, when it was made, and the trace that it continues."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: int
    id: str
    at: datetime
    traceparent: str | None = None
    body: dict[str, Any]


def encode(message: Message, *, traceparent: str | None) -> bytes:
    """Return the message in a new envelope, as JSON."""
    envelope = Envelope(
        name=message.message_name,
        version=message.message_version,
        id=str(ULID()).lower(),
        at=datetime.now(UTC),
        traceparent=traceparent,
        body=message.model_dump(mode="json", by_alias=True),
    )
    return envelope.model_dump_json().encode()


def decode(data: bytes) -> tuple[Envelope, Message]:
    """Return the envelope and the message in it.

    Raises:
        Poison: the data is too large, is no JSON or no envelope, has an unknown name or version, or has a field that is
            missing or wrong.
    """
    if len(data) > MAX_BYTES:
        raise Poison(f"A message of {len(data)} bytes is over the limit of {MAX_BYTES}.", code="too_large")
    try:
        envelope = Envelope.model_validate_json(data)
    except ValidationError as error:
        raise Poison("It is not an envelope.", code="no_envelope") from error
    known = _BY_NAME.get((envelope.name, envelope.version))
    if known is None:
        raise Poison(f"Nobody here knows {envelope.name!r} version {envelope.version}.", code="unknown_message")
    try:
        return envelope, known.model_validate(envelope.body)
    except ValidationError as error:
        raise Poison(f"A {envelope.name} lacks what it must have.", code="incomplete") from error


def claimed_id(data: bytes) -> str | None:
    """Return the id of a message that cannot be read, if there is one. Nothing else of such a message may be logged."""
    found = _ID.search(data[:MAX_BYTES])
    return found[1].decode() if found else None
