"""The proxy does to connections what it says, here to Redis's."""

import socket
import time
from collections.abc import Iterator

import pytest

from faults.proxy import Proxy, Way
from support.waiting import eventually

PING, PONG = b"PING\r\n", b"+PONG\r\n"
SILENCE_SECONDS = 0.3


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def wire(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as wire:
        yield wire


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


def ask(wire: socket.socket) -> bytes:
    wire.sendall(PING)
    return wire.recv(100)


def silent(wire: socket.socket) -> bool:
    wire.settimeout(SILENCE_SECONDS)
    try:
        wire.recv(1)
    except TimeoutError:
        return True
    finally:
        wire.settimeout(30)
    return False


def test_it_passes_on_more_than_it_keeps(wire: socket.socket) -> None:
    value = b"x" * 20_000_000
    wire.sendall(b"*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n" % (len(value), value))
    heard = bytearray()
    while len(heard) < len(value) + 13:
        heard += wire.recv(1 << 20)
    assert heard == b"$%d\r\n%s\r\n" % (len(value), value)


def test_the_end_of_a_connection_is_passed_on_and_nothing_stays_behind(proxy: Proxy, wire: socket.socket) -> None:
    wire.sendall(b"QUIT\r\n")
    assert wire.recv(100) == b"+OK\r\n"
    assert wire.recv(100) == b""
    eventually(lambda: proxy.open == 0, what="the connection to be forgotten")


def test_a_reset_is_seen_at_once_and_connecting_again_is_possible(proxy: Proxy, wire: socket.socket) -> None:
    assert ask(wire) == PONG
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        wire.recv(100)
    with connect(proxy) as again:
        assert ask(again) == PONG
    assert proxy.made == 2


def test_who_is_refused_is_refused_until_it_flows(proxy: Proxy, wire: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        wire.recv(100)
    with pytest.raises(OSError), connect(proxy) as refused:
        ask(refused)
    proxy.flow()
    with connect(proxy) as again:
        assert ask(again) == PONG


def test_in_a_black_hole_nothing_fails_and_what_was_said_comes_late(proxy: Proxy, wire: socket.socket) -> None:
    assert ask(wire) == PONG
    proxy.hold()
    wire.sendall(PING)
    assert silent(wire)
    with connect(proxy) as new:
        new.sendall(PING)
        assert silent(new)
        proxy.flow()
        assert new.recv(100) == PONG
    assert wire.recv(100) == PONG


def test_the_answers_alone_can_vanish(proxy: Proxy, wire: socket.socket) -> None:
    key = f"proxied-{proxy.port}".encode()
    proxy.hold(frozenset({Way.TO_CLIENT}))
    wire.sendall(b"SET %s 1\r\n" % key)
    assert silent(wire)
    proxy.reset()
    proxy.flow()
    with connect(proxy) as again:
        again.sendall(b"DEL %s\r\n" % key)
        assert again.recv(100) == b":1\r\n"


def test_each_way_can_take_its_time(proxy: Proxy, wire: socket.socket) -> None:
    proxy.flow(delay_seconds=0.1)
    began = time.monotonic()
    assert ask(wire) == PONG
    assert time.monotonic() - began >= 0.2


def test_a_connection_is_reset_in_the_middle_of_what_it_says(proxy: Proxy, wire: socket.socket) -> None:
    proxy.reset_after(1_000, Way.TO_CLIENT)
    wire.sendall(PING * 10_000)
    heard: list[bytes] = []
    with pytest.raises(ConnectionResetError):
        heard.extend(iter(lambda: wire.recv(100), b""))
    assert sum(map(len, heard)) <= 1_000
    with connect(proxy) as again:
        assert ask(again) == PONG
