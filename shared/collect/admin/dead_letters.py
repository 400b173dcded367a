"""Messages that nobody could handle: what they are, and sending them once more after the cause has been mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import pika

from collect.admin.connection import Admin, json_option, pass_admin
from collect.errors import Poison
from collect.messaging import messages, topology
from collect.messaging.publisher import Publisher

SHOWN_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A message set aside. ``exchange`` and ``routing_key``: how it had come, where the broker has noted that."""

    tag: int
    body: bytes
    exchange: str | None
    routing_key: str | None
    queue: str | None
    why: str

    @property
    def id(self) -> str | None:
        """The envelope's id, if it can be read."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return str(found["id"]) if isinstance(found, dict) and "id" in found else None

    def shown(self) -> dict[str, Any]:
        """For people and for JSON."""
        text = self.body.decode(errors="replace")
        return {
            "id": self.id,
            "queue": self.queue,
            "exchange": self.exchange,
            "routing_key": self.routing_key,
            "why": self.why,
            "body": text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…",
        }


@contextmanager
def letters(url: str, *, limit: int) -> Iterator[tuple[list[DeadLetter], Callable[[DeadLetter], None]]]:
    """The dead letters, oldest first, and how to delete one. What is not deleted goes back in its place at the end."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    try:
        found: list[DeadLetter] = []
        while len(found) < limit:
            method, properties, body = channel.basic_get(topology.DEAD_QUEUE, auto_ack=False)
            if method is None:
                break
            found.append(_letter(method.delivery_tag, properties.headers or {}, body))
        yield found, lambda letter: channel.basic_ack(letter.tag)
    finally:
        if connection.is_open:
            # Given back in so many words: what a closed connection held is not there for the next one at once.
            channel.basic_nack(0, multiple=True, requeue=True)
            connection.close()


def _letter(tag: int, headers: dict[str, Any], body: bytes) -> DeadLetter:
    death = (headers.get("x-death") or [{}])[0]
    keys = death.get("routing-keys") or [None]
    return DeadLetter(
        tag=tag,
        body=body,
        exchange=death.get("exchange"),
        routing_key=keys[0],
        queue=death.get("queue"),
        why=_why(body, death.get("reason")),
    )


def _why(body: bytes, reason: str | None) -> str:
    try:
        messages.decode(body)
    except Poison as poison:
        return f"{poison.code}: {poison.detail}"
    return {"delivery_limit": "delivered too often without success", "rejected": "refused by its consumer"}.get(
        reason or "", reason or "unknown"
    )


def replay(url: str, *, ids: frozenset[str], limit: int) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """Publish letters once more the way they had come, confirmed, then delete them; those replayed and those not.

    No ``ids``: all. A ticket that is void by now is dropped by whoever gets it, so a replay does no harm.

    Raises:
        Transient: the broker did not take one; it and those behind it stay.
    """
    done: list[DeadLetter] = []
    left: list[DeadLetter] = []
    publisher = Publisher(url)
    try:
        with letters(url, limit=limit) as (found, delete):
            for letter in found:
                if ids and letter.id not in ids:
                    continue
                if letter.exchange is None or letter.routing_key is None:
                    left.append(letter)
                    continue
                exchange, key = letter.exchange, letter.routing_key
                publisher.publish(exchange=exchange, routing_key=key, body=letter.body, mandatory=True)
                delete(letter)
                done.append(letter)
    finally:
        publisher.close()
    return done, left


@click.group("dead-letters")
@json_option
def dead_letters() -> None:
    """Messages that nobody could handle: list, replay, purge."""


_limit = click.option("--limit", default=1000, show_default=True, type=click.IntRange(min=1), help="At most so many.")


@dead_letters.command("list")
@_limit
@json_option
@pass_admin
def list_letters(admin: Admin, limit: int) -> None:
    """What has been set aside, oldest first; nothing is taken away."""
    with letters(admin.broker.amqp_url, limit=limit) as (found, _):
        shown = [letter.shown() for letter in found]
    lines = [f"{letter['id'] or '(no id)'}  {letter['queue']}  {letter['why']}\n  {letter['body']}" for letter in shown]
    admin.answer(shown, lines or ["There are no dead letters."])


@dead_letters.command("replay")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@_limit
@json_option
@pass_admin
def replay_letters(admin: Admin, ids: tuple[str, ...], everything: bool, limit: int) -> int:
    """Send dead letters once more the way they had come."""
    if bool(ids) == everything:
        raise click.UsageError("Name the ids to replay, or give --all.")
    done, left = replay(admin.broker.amqp_url, ids=frozenset(ids), limit=limit)
    missing = sorted(frozenset(ids) - {letter.id for letter in (*done, *left)})
    lines = [f"{len(done)} sent once more."]
    lines += [f"{letter.id}: how it had come is not known; it stays." for letter in left]
    lines += [f"{letter_id}: there is no such dead letter." for letter_id in missing]
    admin.answer({"replayed": [d.id for d in done], "left": [d.id for d in left], "missing": missing}, lines)
    return 1 if left or missing else 0


@dead_letters.command("purge")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_admin
def purge(admin: Admin, yes: bool) -> None:
    """Throw all dead letters away. The jobs lose nothing: parts that wait are published again by the monitor."""
    if not yes:
        click.confirm("Throw all dead letters away?", abort=True, err=True)
    connection = pika.BlockingConnection(pika.URLParameters(admin.broker.amqp_url))
    try:
        purged = connection.channel().queue_purge(topology.DEAD_QUEUE).method.message_count
    finally:
        connection.close()
    admin.answer({"purged": purged}, [f"{purged} thrown away."])
