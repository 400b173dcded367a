"""The sender: nobody waits for it, and what it cannot send it leaves to the relay."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from collect.errors import Transient
from collect.messaging import outbox
from collect.messaging.outbox import OutboxSender
from collect.messaging.publisher import Publisher, Refused
from support.waiting import eventually


@dataclass(frozen=True, kw_only=True)
class Waiting:
    id: str
    exchange: str = "an-exchange"
    routing_key: str = "a-key"
    body: str = "{}"
    mandatory: bool = True


class Scripted(Publisher):
    """A broker that answers each message by its body, once it is let."""

    def __init__(self) -> None:
        super().__init__("amqp://nobody/")
        self.answers: dict[str, Exception] = {}
        self.sent: list[str] = []
        self.looks = 0
        self.there = True
        self.closed = False
        self.letting = threading.Event()
        self.letting.set()

    def publish(self, *, exchange: str, routing_key: str, body: str | bytes, mandatory: bool) -> None:
        assert self.letting.wait(10)
        self.sent.append(str(body))
        if (answer := self.answers.get(str(body))) is not None:
            raise answer

    def reachable(self) -> bool:
        assert self.letting.wait(10)
        self.looks += 1
        return self.there

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def publisher() -> Scripted:
    return Scripted()


def entries(bodies: Iterable[str]) -> list[Waiting]:
    return [Waiting(id=body, body=body) for body in bodies]


def test_entries_leave_in_the_order_of_their_commits(publisher: Scripted) -> None:
    deleted: list[str] = []
    sender = OutboxSender(publisher, delete=deleted.extend)
    sender.send(entries("abc"))
    sender.send(entries("de"))
    sender.close(timeout_seconds=10)
    assert publisher.sent == list("abcde")
    assert deleted == list("abcde")
    assert publisher.closed


def test_what_waits_together_is_deleted_together(publisher: Scripted) -> None:
    deletions: list[list[str]] = []
    sender = OutboxSender(publisher, delete=deletions.append)
    publisher.letting.clear()
    sender.send(entries("a"))
    eventually(lambda: sender._waiting.empty(), what="the first to be taken")
    for body in "bcdef":
        sender.send(entries(body))
    publisher.letting.set()
    sender.close(timeout_seconds=10)
    assert deletions == [["a"], ["b", "c", "d", "e", "f"]]


def test_an_entry_that_its_queue_refuses_holds_no_other_up(publisher: Scripted) -> None:
    deleted: list[str] = []
    publisher.answers = {"b": Refused("full")}
    sender = OutboxSender(publisher, delete=deleted.extend)
    sender.send(entries("abc"))
    sender.close(timeout_seconds=10)
    assert deleted == ["a", "c"]


def test_behind_an_unreachable_broker_nothing_piles_up(publisher: Scripted) -> None:
    deleted: list[str] = []
    publisher.answers = {"b": Transient("away")}
    sender = OutboxSender(publisher, delete=deleted.extend)
    publisher.letting.clear()
    sender.send(entries("ab"))
    for _ in range(1_000):
        sender.poke("upload", "a-job")
    publisher.letting.set()
    eventually(lambda: publisher.sent[-1:] == ["b"] and sender._waiting.empty(), what="the queue to be given up")
    sender.send(entries("z"))
    sender.close(timeout_seconds=10)
    assert deleted == ["a", "z"]
    assert publisher.sent == ["a", "b", "z"]


def test_a_full_queue_drops_and_never_blocks(publisher: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_WAITING", 5)
    deleted: list[str] = []
    sender = OutboxSender(publisher, delete=deleted.extend)
    publisher.letting.clear()
    sender.send(entries(str(n) for n in range(100)))
    publisher.letting.set()
    sender.close(timeout_seconds=10)
    assert 5 <= len(deleted) < 100


def test_a_store_that_fails_does_not_stop_the_sending(publisher: Scripted) -> None:
    def delete(_ids: list[str]) -> None:
        raise ConnectionError("away")

    sender = OutboxSender(publisher, delete=delete)
    sender.send(entries("a"))
    eventually(lambda: publisher.sent == ["a"], what="the first")
    sender.send(entries("b"))
    sender.close(timeout_seconds=10)
    assert publisher.sent == ["a", "b"]


def test_closing_while_the_broker_says_nothing_has_an_end(publisher: Scripted) -> None:
    sender = OutboxSender(publisher, delete=lambda _ids: None)
    publisher.letting.clear()
    sender.send(entries("a"))
    sender.close(timeout_seconds=0.05)
    assert publisher.closed
    publisher.letting.set()


def test_closing_what_was_never_used_starts_nothing(publisher: Scripted) -> None:
    sender = OutboxSender(publisher, delete=lambda _ids: None)
    sender.send([])
    sender.close(timeout_seconds=10)
    assert sender._thread is None


def test_an_idle_sender_keeps_the_connection(publisher: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 0.01)
    sender = OutboxSender(publisher, delete=lambda _ids: None)
    sender.send(entries("a"))
    eventually(lambda: publisher.looks > 2, what="the heartbeats")
    sender.close(timeout_seconds=10)


def test_whether_the_broker_is_there_is_said_without_waiting_for_it(publisher: Scripted) -> None:
    sender = OutboxSender(publisher, delete=lambda _ids: None)
    publisher.letting.clear()
    assert sender.reachable() is None
    sender.send(entries("a"))
    assert sender.reachable() is None
    publisher.letting.set()
    eventually(lambda: sender.reachable(), what="the answer to be known")
    sender.close(timeout_seconds=10)


def test_what_is_known_of_the_broker_is_what_was_seen_last(
    publisher: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 0.01)
    publisher.there = False
    sender = OutboxSender(publisher, delete=lambda _ids: None)
    eventually(lambda: sender.reachable() is False, what="the broker to be missed by an idle sender")
    publisher.there = True
    eventually(lambda: sender.reachable(), what="it to be found again by an idle sender")
    monkeypatch.setattr(outbox, "IDLE_SECONDS", 60.0)
    publisher.answers = {"b": Transient("away"), "c": Refused("full")}
    for body, there in (("a", True), ("b", False), ("c", True)):
        sender.send(entries(body))
        eventually(lambda there=there: sender.reachable() is there, what=f"the answer to {body}")  # type: ignore[misc]
    sender.close(timeout_seconds=10)
