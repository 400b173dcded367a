"""The ports of gateway and monitor on a machine on which others listen too."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from stack import listeners
from stack.listeners import GATEWAY, MONITOR, Listener
from stack.ports import LOOPBACK, free_port, holder, is_free
from stack.telling import StackError

NOTHING: dict[str, int] = {}


@pytest.fixture
def taken() -> Iterator[ExitStack]:
    """What keeps the ports that :func:`take` has taken."""
    with ExitStack() as stack:
        yield stack


def take(taken: ExitStack, port: int = 0, address: str = LOOPBACK) -> int:
    """Listen on a port, if nobody does yet; returns it."""
    listening = taken.enter_context(socket.socket())
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with suppress(OSError):
        listening.bind((address, port))
        listening.listen()
    return port or int(listening.getsockname()[1])


def choose(
    listener: Listener, *, given: int | str | None = None, remembered: int | None = None, holds: bool = False,
    ours: dict[str, int] | None = None,
) -> int:  # fmt: skip
    environment = {} if given is None else {listener.setting: str(given)}
    return listeners.choose(listener, environment, remembered=remembered, holds=holds, ours=ours or {})


@pytest.mark.parametrize("listener", listeners.LISTENERS, ids=lambda one: one.name)
def test_a_usual_port_that_is_taken_is_replaced_by_one_that_is_free_and_none_of_ours(
    taken: ExitStack, listener: Listener
) -> None:
    take(taken, listener.usual)
    ours = {"amqp": free_port(), "redis": 8082, "mongodb": 8083}
    port = choose(listener, ours=ours)
    assert is_free(port)
    assert port not in {*ours.values(), GATEWAY.usual, MONITOR.usual}
    said = listeners.moved(listener, port)
    assert said is not None
    assert f"Port {listener.usual} is taken" in said
    assert str(port) in said


@pytest.mark.parametrize("address", [LOOPBACK, "0.0.0.0"])
@pytest.mark.parametrize("listener", listeners.LISTENERS, ids=lambda one: one.name)
def test_a_port_that_was_asked_for_and_is_taken_is_named_with_its_holder_and_another(
    taken: ExitStack, listener: Listener, address: str
) -> None:
    port = take(taken, address=address)
    ours = {"amqp": port + 1}
    with pytest.raises(StackError) as raised:
        choose(listener, given=port, ours=ours)
    said = str(raised.value)
    assert f"Port {port} is taken by" in said
    assert f"(process {os.getpid()})" in said
    assert listener.name in said
    suggested = re.search(rf"{listener.setting}=(\d+) make up", said)
    assert suggested is not None
    assert is_free(int(suggested[1]))
    assert int(suggested[1]) not in {port, *ours.values(), *({GATEWAY.usual, MONITOR.usual} - {listener.usual})}


def test_a_port_of_our_own_is_never_another_ones() -> None:
    with pytest.raises(StackError, match="is the port of our own monitor; the gateway needs it, since COLLECT_PORT"):
        choose(GATEWAY, given=8095, ours={"monitor": 8095})


def test_the_gateway_may_have_the_monitors_usual_port() -> None:
    environment = {"COLLECT_PORT": str(MONITOR.usual)}
    if not is_free(MONITOR.usual):
        pytest.skip("somebody listens on the monitor's usual port")
    chosen = listeners.choose_all(environment, remembered={}, running=(), ours=NOTHING)
    assert chosen["gateway"] == MONITOR.usual
    assert chosen["monitor"] not in {MONITOR.usual, GATEWAY.usual}


def test_ports_that_are_given_are_chosen_first() -> None:
    port = free_port()
    environment = {"MONITOR_PORT": str(port)}
    chosen = listeners.choose_all(environment, remembered={"gateway": port}, running=(), ours=NOTHING)
    assert chosen["monitor"] == port
    assert chosen["gateway"] != port


def test_a_service_that_runs_keeps_its_port(taken: ExitStack) -> None:
    port = take(taken)
    assert choose(GATEWAY, remembered=port, holds=True) == port
    assert choose(GATEWAY, given=port, remembered=port, holds=True) == port


def test_a_port_from_last_time_is_taken_again_when_the_usual_one_is_not_free(taken: ExitStack) -> None:
    take(taken, GATEWAY.usual)
    port = free_port()
    assert choose(GATEWAY, remembered=port) == port
    take(taken, port)
    assert choose(GATEWAY, remembered=port) != port


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80 80", "²"])
def test_what_is_no_port_is_said(text: str) -> None:
    with pytest.raises(StackError, match="which is no port"):
        choose(GATEWAY, given=text)


def test_who_holds_a_port_is_seen(taken: ExitStack) -> None:
    held = holder(take(taken))
    assert held is not None
    assert held.endswith(f"(process {os.getpid()})")
    assert holder(free_port()) is None
