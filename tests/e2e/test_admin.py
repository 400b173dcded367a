import pika

from collect.messaging import topology
from e2e.shell import Town


def test_seeding_again_keeps_keys_that_are_known_and_replaces_those_that_are_not(town: Town) -> None:
    again = town.admin("seed", "demo", "--env", **town.keys)
    forgotten = town.admin("seed", "demo", "--json", COLLECT_API_KEY="", COLLECT_ADMIN_KEY="", COLLECT_OTHER_KEY="")

    before, after = dict(town.keys), forgotten.json
    assert dict(line.split("=", 1) for line in again.out.splitlines()) == before
    assert not set(after.values()) & set(before.values())
    assert town.collect("list").code == 4
    town.keys = after
    assert town.collect("list").code == 0


def test_a_key_is_shown_once_and_can_be_revoked(town: Town) -> None:
    made = town.admin("keys", "create", "--org", "labs", "--role", "viewer", "--name", "A pipeline", "--json").json
    town.keys["MADE"] = made["key"]

    assert town.collect("list", key="MADE").code == 0
    assert made["key"] not in town.admin("keys", "list").out
    assert town.admin("keys", "revoke", made["id"]).code == 0
    assert town.collect("list", key="MADE").code == 4


def test_a_dead_letter_is_explained_and_sent_once_more_the_way_it_had_come(town: Town) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(town.stores["AMQP_URL"]))
    body = b'{"id": "01kd", "name": "Nonsense", "version": 9, "at": "2017-08-01T00:00:00Z", "body": {}}'
    connection.channel().basic_publish(topology.JOBS, "upload", body)
    connection.close()

    def listed() -> list[dict[str, str]]:
        found: list[dict[str, str]] = town.admin("dead-letters", "list", "--json").json
        return found

    from e2e.shell import until

    until(lambda: len(listed()) == 1, seconds=20, what="the message is set aside")
    assert (listed()[0]["id"], listed()[0]["queue"]) == ("01kd", "jobs.upload")
    assert "Nonsense" in listed()[0]["why"]
    assert town.admin("dead-letters", "replay", "01kd").code == 0
    until(lambda: len(listed()) == 1, seconds=20, what="it is set aside again, because nothing was corrected")
    assert town.admin("dead-letters", "purge", "--yes").code == 0
    assert listed() == []


def test_what_is_missing_is_said_by_name(town: Town) -> None:
    refused = town.admin("check", MONGODB_URL="")

    assert refused.code != 0
    assert "MONGODB_URL" in refused.err
