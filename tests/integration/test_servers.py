"""The fixtures themselves: servers are real, queues are private to a module, and what was killed comes back."""

from typing import Any

import pika
import redis
from pymongo import MongoClient

from stack import rabbitmq
from stack.children import Child
from support.servers import Servers
from support.waiting import eventually


def test_mongodb_commits_transactions_and_takes_fail_points(mongodb_url: str, database_name: str) -> None:
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        collection = client[database_name]["things"]
        with client.start_session() as session, session.start_transaction():
            collection.insert_one({"_id": "a"}, session=session)
        assert collection.count_documents({}) == 1
        off = {"configureFailPoint": "failCommand", "mode": "off"}
        assert client.admin.command(off)["ok"] == 1


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


def test_queues_of_a_module_are_its_own(amqp_url: str, management_url: str, vhost: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    channel.queue_declare("fixture", durable=True, arguments={"x-queue-type": "quorum"})

    def names() -> list[str]:
        return [queue["name"] for queue in rabbitmq.call(management_url, "GET", f"/api/queues/{vhost}")]

    assert eventually(names, what="the management API to show the queue") == ["fixture"]
    connection.close()


def test_the_broker_comes_back_with_its_queues(
    own_broker: Child, amqp_url: str, management_url: str, vhost: str, servers: Servers
) -> None:
    before = own_broker.pid
    own_broker.kill()
    own_broker.start()
    assert own_broker.pid != before
    assert rabbitmq.is_healthy(management_url)
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    assert channel.queue_declare("fixture", passive=True).method.queue == "fixture"
    connection.close()
    assert servers.rabbitmq_environment()["RABBITMQ_NODENAME"] == "collect@localhost"


def test_mongodb_elects_itself_again_after_a_crash(own_mongodb: Child, mongodb_url: str, database_name: str) -> None:
    own_mongodb.kill()
    own_mongodb.start()
    with MongoClient[dict[str, Any]](mongodb_url) as client:
        assert client[database_name]["things"].count_documents({}) == 1
