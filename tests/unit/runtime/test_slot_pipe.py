"""What a slot hears between chunks."""

from multiprocessing import Pipe

import pytest

from collect.errors import Abandoned, Drained
from collect.protocol.lease import Ticket
from collect.runtime.ipc import Abandon, Drain, Look, Ready, Run
from collect.runtime.slot_pipe import Control


def run(number: int) -> Run:
    ticket = Ticket(kind="upload", job_id="j", part=1, ticket=1)
    return Run(run=number, ticket=ticket, redelivered=False, traceparent=None)


def test_a_poke_is_told_once() -> None:
    parent, child = Pipe()
    control = Control(connection=child)
    parent.send(run(1))
    assert control.next_run() == run(1)
    assert control.check() is False
    parent.send(Look(run=1))
    parent.send(Look(run=1))
    assert control.check() is True
    assert control.check() is False


def test_what_was_meant_for_a_slice_that_has_ended_does_not_touch_the_next() -> None:
    parent, child = Pipe()
    control = Control(connection=child)
    parent.send(run(1))
    control.next_run()
    parent.send(Abandon(run=1))
    parent.send(Look(run=1))
    parent.send(run(2))
    assert control.next_run() == run(2)
    assert control.check() is False


def test_an_abandoned_slice_ends_even_while_it_waits() -> None:
    parent, child = Pipe()
    control = Control(connection=child)
    parent.send(run(1))
    control.next_run()
    parent.send(Abandon(run=1))
    with pytest.raises(Abandoned):
        control.rest(30)


def test_a_drain_lets_a_retry_go_on_and_ends_at_the_next_check() -> None:
    parent, child = Pipe()
    control = Control(connection=child)
    parent.send(run(1))
    control.next_run()
    parent.send(Drain())
    control.rest(30)
    with pytest.raises(Drained):
        control.check()
    assert control.next_run() is None


def test_a_poke_ends_a_rest() -> None:
    parent, child = Pipe()
    control = Control(connection=child)
    parent.send(run(1))
    control.next_run()
    parent.send(Look(run=1))
    control.rest(30)
    assert control.check() is True


def test_a_report_reaches_the_parent() -> None:
    parent, child = Pipe()
    Control(connection=child).report(Ready())
    assert parent.recv() == Ready()
