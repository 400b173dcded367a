"""Which servers are used, and on which ports our own listen."""

from pathlib import Path

import pytest

from stack import ports as finding
from stack import rabbitmq
from stack.addresses import ALL_PORT_NAMES, choose_ports, kept_ports, remember_ports, remembered_ports, resolve
from stack.telling import StackError

PORTS = {name: 20_000 + number for number, name in enumerate(ALL_PORT_NAMES)}


def test_without_a_word_from_the_environment_all_servers_are_private() -> None:
    addresses = resolve({}, PORTS)
    assert addresses.private == {"mongodb", "rabbitmq", "redis"}
    assert addresses.amqp_url == f"amqp://guest:guest@127.0.0.1:{PORTS['amqp']}/%2F"


def test_a_server_named_in_the_environment_is_used_as_it_is() -> None:
    addresses = resolve({"MONGODB_URL": "mongodb://db.example/?replicaSet=rs0"}, PORTS)
    assert addresses.mongodb_url == "mongodb://db.example/?replicaSet=rs0"
    assert addresses.private == {"rabbitmq", "redis"}


def test_our_own_addresses_in_the_environment_do_not_keep_the_servers_from_starting() -> None:
    before = resolve({}, PORTS)
    assert resolve(before.environment(), PORTS) == before


def test_an_empty_name_counts_as_none() -> None:
    assert "redis" in resolve({"REDIS_URL": ""}, PORTS).private


def test_the_console_of_a_given_broker_is_the_one_named_with_it() -> None:
    given = {"AMQP_URL": "amqp://me:word@mq.example/", "RABBITMQ_MANAGEMENT_URL": "http://mq.example:9000"}
    assert resolve(given, PORTS).management_url == "http://mq.example:9000"


def test_the_console_of_a_given_broker_is_looked_for_on_the_usual_port() -> None:
    addresses = resolve({"AMQP_URL": "amqp://me:word@mq.example/"}, PORTS)
    assert addresses.management_url == "http://me:word@mq.example:15672"


def test_the_ports_of_running_servers_are_kept(tmp_path: Path) -> None:
    remember_ports(tmp_path / "ports.json", PORTS)
    remembered = remembered_ports(tmp_path / "ports.json")
    kept = kept_ports(remembered, running={"rabbitmq", "epmd", "mongodb", "redis"})
    assert choose_ports(remembered, kept=kept) == PORTS


def test_a_server_that_does_not_run_gets_another_port_while_the_others_keep_theirs() -> None:
    kept = kept_ports(PORTS, running={"rabbitmq", "epmd", "redis"})
    assert set(kept) == set(ALL_PORT_NAMES) - {"mongodb"}
    chosen = choose_ports(PORTS, kept=kept, taken=frozenset([PORTS["mongodb"]]))
    assert chosen["mongodb"] not in PORTS.values()
    assert {name: chosen[name] for name in kept} == kept


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "is_free", lambda port: port != PORTS["redis"])
    remember_ports(tmp_path / "ports.json", PORTS)
    chosen = choose_ports(remembered_ports(tmp_path / "ports.json"), kept={})
    assert chosen["redis"] != PORTS["redis"]
    assert {name: port for name, port in chosen.items() if name != "redis"} == {
        name: port for name, port in PORTS.items() if name != "redis"
    }


def test_no_two_servers_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "is_free", lambda port: True)
    chosen = finding.free_ports(("one", "two"), remembered={"one": 20_000, "two": 20_000})
    assert chosen["one"] != chosen["two"]


def test_ports_from_which_connections_are_made_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "is_free", lambda port: True)
    assert all(20_000 <= finding.free_port() < 32_768 for _ in range(50))


def test_no_free_port_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "is_free", lambda port: False)
    with pytest.raises(StackError, match="No free port"):
        finding.free_port()


def test_a_wait_that_is_in_vain_says_for_what() -> None:
    with pytest.raises(StackError, match="the moon to rise"):
        finding.wait_until(lambda: False, seconds=0, what="the moon to rise")


def test_the_broker_is_told_to_find_nothing_of_another_node() -> None:
    environment = rabbitmq.environment(Path("/srv/mq"), PORTS)
    assert environment["ERL_EPMD_PORT"] == str(PORTS["epmd"])
    assert environment["HOME"] == "/srv/mq/home"
    assert environment["RABBITMQ_CONF_ENV_FILE"] == "/dev/null"
