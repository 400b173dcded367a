"""Dead letters: messages that no consumer could handle. Lists, replays and purges them."""

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
    """A dead letter. ``exchange`` and ``routing_key``: how it was published, if the broker has recorded that."""

    tag: int
    body: bytes
    exchange: str | None
    routing_key: str | None
    queue: str | None
    why: str

    @property
    def id(self) -> str | None:
        """The envelope's id; ``None`` if it cannot be read."""
        try:
            envelope = json.loads(self.body)
        except ValueError:
            return None
        return str(envelope["id"]) if isinstance(envelope, dict) and "id" in envelope else None

    def shown(self) -> dict[str, Any]:
        """Return the letter as `collect-admin dead-letters` prints it."""
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
    """Yield the dead letters, oldest first, and a function that deletes one. The others go back into the queue."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    try:
        held: list[DeadLetter] = []
        while len(held) < limit:
            method, properties, body = channel.basic_get(topology.DEAD_QUEUE, auto_ack=False)
            if method is None:
                break
            held.append(_letter(method.delivery_tag, properties.headers or {}, body))
        yield held, lambda letter: channel.basic_ack(letter.tag)
    finally:
        if connection.is_open:
            # Without this the letters of a closed connection are not at once visible for the next one.
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
    return {"delivery_limit": "delivered too often without success", "rejected": "rejected by its consumer"}.get(
        reason or "", reason or "unknown"
    )


def replay(url: str, *, ids: frozenset[str], limit: int) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """Publish letters again as they were published first, wait for the confirm, and delete them.

    Return the letters that were replayed and those that were not. Without ``ids`` all are replayed. A replay is safe:
    workers drop a ticket that is no longer valid.

    Raises:
        Transient: the broker did not take a letter. That letter and those behind it stay.
    """
    done: list[DeadLetter] = []
    left: list[DeadLetter] = []
    publisher = Publisher(url)
    try:
        with letters(url, limit=limit) as (held, delete):
            for letter in held:
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
    """List, replay or purge the messages that no consumer could handle."""


_limit = click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(min=1), help="Most letters to look at."
)


@dead_letters.command("list")
@_limit
@json_option
@pass_admin
def list_letters(admin: Admin, limit: int) -> None:
    """List the dead letters, oldest first. They stay in the queue."""
    with letters(admin.broker.amqp_url, limit=limit) as (held, _):
        shown = [letter.shown() for letter in held]
    lines = [f"{letter['id'] or '(no id)'}  {letter['queue']}  {letter['why']}\n  {letter['body']}" for letter in shown]
    admin.answer(shown, lines or ["There are no dead letters."])


@dead_letters.command("replay")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all.")
@_limit
@json_option
@pass_admin
def replay_letters(admin: Admin, ids: tuple[str, ...], everything: bool, limit: int) -> int:
    """Publish dead letters again as they were published first."""
    if bool(ids) == everything:
        raise click.UsageError("Name the ids to replay, or give --all.")
    done, left = replay(admin.broker.amqp_url, ids=frozenset(ids), limit=limit)
    missing = sorted(frozenset(ids) - {letter.id for letter in (*done, *left)})
    lines = [f"{len(done)} replayed."]
    lines += [f"{letter.id}: its exchange is not known, so it stays." for letter in left]
    lines += [f"{letter_id}: there is no such dead letter." for letter_id in missing]
    admin.answer({"replayed": [d.id for d in done], "left": [d.id for d in left], "missing": missing}, lines)
    return 1 if left or missing else 0


@dead_letters.command("purge")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_admin
def purge(admin: Admin, yes: bool) -> None:
    """Delete all dead letters. No job loses data: the monitor publishes waiting parts again."""
    if not yes:
        click.confirm("Delete all dead letters?", abort=True, err=True)
    connection = pika.BlockingConnection(pika.URLParameters(admin.broker.amqp_url))
    try:
        purged = connection.channel().queue_purge(topology.DEAD_QUEUE).method.message_count
    finally:
        connection.close()
    admin.answer({"purged": purged}, [f"{purged} deleted."])
