"""The topology is whole: nothing is queued that nobody reads, nothing is sent where nothing is."""

import re
from pathlib import Path

import click
import pytest

from collect.admin.cli import collect_admin
from collect.messaging import topology
from collect.messaging.consumer import worker_consumer

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = "collect-admin "


def exists(consumer: str) -> bool:
    if consumer.startswith(COMMAND):
        command = collect_admin.get_command(click.Context(collect_admin), consumer.removeprefix(COMMAND))
        return command is not None
    return (ROOT / "services" / consumer / consumer.replace("-", "_") / "__main__.py").exists()


@pytest.mark.parametrize("queue", topology.QUEUES, ids=lambda queue: queue.name)
def test_every_queue_has_a_consumer(queue: topology.Queue) -> None:
    assert exists(queue.consumer)


@pytest.mark.parametrize("kind", topology.KINDS)
def test_a_worker_consumes_its_kind_s_queue_and_hears_all_of_its_control(kind: str) -> None:
    consumer = worker_consumer(
        "amqp://nobody/", kind=kind, prefetch=3, on_job=print, on_control=print, on_lost=lambda: None
    )
    taken = [(each.queue, each.binding, each.prefetch) for each in consumer._subscriptions]
    assert taken == [(topology.job_queue(kind), None, 3), ("", (topology.CONTROL, f"{kind}.*"), 0)]
    source = (ROOT / "services" / f"{kind}-worker" / f"{kind}_worker" / "__main__.py").read_text(encoding="utf-8")
    assert "serve(" in source


def test_the_monitor_consumes_heartbeats() -> None:
    source = (ROOT / "services" / "monitor" / "monitor" / "__main__.py").read_text(encoding="utf-8")
    assert "Subscription(queue=topology.HEARTBEAT_QUEUE" in source


def policies(queue: topology.Queue) -> list[topology.Policy]:
    """Those whose pattern the queue's name matches."""
    return [policy for policy in topology.POLICIES if re.search(policy.pattern, queue.name)]


def test_every_queue_is_bound_to_an_exchange_of_the_table() -> None:
    known = {exchange.name for exchange in topology.EXCHANGES}
    assert {queue.exchange for queue in topology.QUEUES} <= known
    for policy in topology.POLICIES:
        assert policy.definition.get("dead-letter-exchange") in {None, *known}


def test_no_two_queues_have_one_name() -> None:
    names = [queue.name for queue in topology.QUEUES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", topology.KINDS)
def test_a_job_message_goes_to_the_queue_of_its_kind(kind: str) -> None:
    route = topology.run_part_route(kind)
    taken = [queue.name for queue in topology.QUEUES if (queue.exchange, queue.routing_key) == route]
    assert taken == [topology.job_queue(kind)]


def test_a_heartbeat_goes_to_the_monitor() -> None:
    route = topology.heartbeat_route()
    taken = [queue.consumer for queue in topology.QUEUES if (queue.exchange, queue.routing_key) == route]
    assert taken == ["monitor"]


def test_keys_of_control_and_events_name_kind_and_then_job_or_state() -> None:
    assert topology.poke_route("upload", "a-job") == (topology.CONTROL, "upload.a-job")
    assert topology.event_route("upload", "paused") == (topology.EVENTS, "upload.paused")


def test_work_is_in_quorum_queues_with_a_limit_and_a_place_for_what_exceeds_it() -> None:
    for kind in topology.KINDS:
        (queue,) = [queue for queue in topology.QUEUES if queue.name == topology.job_queue(kind)]
        assert queue.arguments == {"x-queue-type": "quorum"}
        (policy,) = policies(queue)
        # At least once needs all three; without `overflow` the broker falls back to at most once without a word.
        assert policy.definition["dead-letter-exchange"] == topology.DEAD
        assert policy.definition["dead-letter-strategy"] == "at-least-once"
        assert policy.definition["overflow"] == "reject-publish"
        assert policy.definition["delivery-limit"] == topology.DELIVERY_LIMIT


@pytest.mark.parametrize("queue", topology.QUEUES, ids=lambda queue: queue.name)
def test_no_quorum_queue_is_left_to_the_limit_that_the_broker_has_by_itself(queue: topology.Queue) -> None:
    """It throws away what was delivered 20 times, since RabbitMQ 4.0. The broker applies one policy to a queue."""
    limits = [policy.definition.get("delivery-limit") for policy in policies(queue)]
    assert len(limits) == (queue.arguments.get("x-queue-type") == "quorum")
    assert None not in limits


def test_dead_letters_may_be_looked_at_for_ever() -> None:
    (dead,) = [queue for queue in topology.QUEUES if queue.name == topology.DEAD_QUEUE]
    (policy,) = policies(dead)
    assert policy.definition["delivery-limit"] == topology.NO_LIMIT


def test_what_nobody_may_read_is_bounded() -> None:
    (heartbeats,) = [queue for queue in topology.QUEUES if queue.name == topology.HEARTBEAT_QUEUE]
    assert heartbeats.arguments["x-max-length"] <= 10_000
    assert heartbeats.arguments["x-overflow"] == "drop-head"
