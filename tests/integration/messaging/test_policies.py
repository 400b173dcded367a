"""An operator's `collect-admin migrate` sets the broker's policies, in the virtual host that the services use."""

import subprocess
import sys

import pika
import pytest

from collect.admin.dead_letters import letters
from collect.messaging import topology
from stack import rabbitmq
from support.waiting import eventually


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, mongodb_url: str, database_name: str, amqp_url: str, management_url: str
) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MONGODB_URL", mongodb_url)
    monkeypatch.setenv("MONGODB_DATABASE", database_name)
    monkeypatch.setenv("AMQP_URL", amqp_url)
    monkeypatch.setenv("RABBITMQ_MANAGEMENT_URL", management_url)
    return monkeypatch


def policies(management_url: str, vhost: str) -> dict[str, object]:
    return {
        found["name"]: found["definition"] for found in rabbitmq.call(management_url, "GET", f"/api/policies/{vhost}")
    }


def migrate() -> str:
    return admin("migrate")


def admin(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from collect.admin.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_migrating_sets_the_policies_and_again_changes_nothing(
    environment: pytest.MonkeyPatch, management_url: str, vhost: str
) -> None:
    environment.delenv("RABBITMQ_MANAGEMENT_URL")
    migrate()
    assert policies(management_url, vhost) == {}
    environment.setenv("RABBITMQ_MANAGEMENT_URL", management_url)
    for _ in range(2):
        assert "policies" in migrate()
        assert policies(management_url, vhost) == {policy.name: policy.definition for policy in topology.POLICIES}


def test_looking_at_dead_letters_leaves_them_however_often_one_does(
    environment: pytest.MonkeyPatch, amqp_url: str, management_url: str, vhost: str
) -> None:
    """RabbitMQ from 4.0 on throws away what was given back 20 times, unless a policy says otherwise."""
    migrate()
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_purge(topology.DEAD_QUEUE)
    for body in (b"one", b"another"):
        channel.basic_publish(topology.DEAD, "", body)
    for _ in range(30):
        with letters(amqp_url, limit=10) as (found, _delete):
            assert sorted(letter.body for letter in found) == [b"another", b"one"]
    assert "another" in admin("dead-letters", "list")
    channel.queue_purge(topology.DEAD_QUEUE)
    connection.close()
    eventually(
        lambda: (
            rabbitmq.call(management_url, "GET", f"/api/queues/{vhost}/{topology.DEAD_QUEUE}").get("policy")
            == "collect-dead"
        ),
        what="the queue to show its policy",
    )
