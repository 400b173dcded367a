"""The messages, typed and versioned, and the envelope that they travel in. JSON; unknown fields are ignored."""

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
"""What a store can hold: a larger one would fail where it is looked up, and its message come back for ever."""

_ID = re.compile(rb'"id"\s*:\s*"([0-9a-hjkmnp-tv-z]{26})"')


class Message(BaseModel):
    """A message's body. A new version is a new class, read one release before it is written."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    message_name: ClassVar[str]
    message_version: ClassVar[int] = 1


class RunPart(Message):
    """Whoever gets this may claim the part, once, with its ticket."""

    message_name: ClassVar[str] = "RunPart"

    job_id: str
    part: Number
    kind: str
    ticket: Number


class Poke(Message):
    """Something happened to the job: look. Losing it loses nothing but a second."""

    message_name: ClassVar[str] = "Poke"

    job_id: str
    kind: str


class SlotReport(BaseModel):
    """What one slot does. ``rate`` in rows a second, ``rss`` in bytes, ``cpu`` in seconds so far."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str | None = None
    part: Number | None = None
    epoch: Number | None = None
    rate: FiniteFloat = 0.0
    rss: Number = 0
    cpu: FiniteFloat = 0.0


class Heartbeat(Message):
    """A worker lives, and this is what its slots do."""

    message_name: ClassVar[str] = "Heartbeat"

    worker_id: str
    kind: str
    version: str
    slots: list[SlotReport]
    at: datetime


class JobEvent(Message):
    """A job has moved; for outsiders. ``source`` is null for a job that has just been made."""

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
    """What every message has: its name and version, an id, when it was made, whose work it continues."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: int
    id: str
    at: datetime
    traceparent: str | None = None
    body: dict[str, Any]


def encode(message: Message, *, traceparent: str | None) -> bytes:
    """The message in its envelope, as JSON."""
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
    """The envelope and the message in it.

    Raises:
        Poison: it is too large, no JSON, no envelope, of an unknown name or version, or lacks a field.
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
    """The id that a message names which cannot be read: all of it that may go into a log."""
    found = _ID.search(data[:MAX_BYTES])
    return found[1].decode() if found else None
