"""The configuration that supervisord is given."""

import configparser
import shlex
from pathlib import Path

import pytest

from collect.messaging import topology
from stack.services import programs
from stack.supervision import MAX_SOCKET_PATH, Program, configuration, quoted, socket_path
from stack.telling import StackError

FOLDER = Path("/srv/clone/.local/supervisor")


def parsed(*listed: Program) -> configparser.RawConfigParser:
    text = configuration(listed, folder=FOLDER, directory=Path("/srv/clone"), log_folder=Path("/srv/clone/.local/log"))
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return parser


def program(**changes: object) -> Program:
    settings: dict[str, object] = {
        "name": "redis",
        "command": ("redis-server", "--save", ""),
        "priority": 10,
        "stop_seconds": 5,
    }
    return Program(**{**settings, **changes})  # type: ignore[arg-type]


def test_an_empty_argument_survives() -> None:
    command = parsed(program()).get("program:redis", "command")
    assert shlex.split(command) == ["redis-server", "--save", ""]


def test_percent_signs_are_doubled_because_supervisord_expands_them() -> None:
    section = parsed(program(environment={"AMQP_URL": "amqp://127.0.0.1:5672/%2F"}))
    assert section.get("program:redis", "environment") == 'AMQP_URL="amqp://127.0.0.1:5672/%%2F"'


def test_what_dies_is_started_again_whatever_its_exit_code() -> None:
    assert parsed(program()).get("program:redis", "autorestart") == "true"


@pytest.mark.parametrize("value", ["two\nlines", "both ' and \""])
def test_values_that_supervisord_cannot_carry_are_refused(value: str) -> None:
    with pytest.raises(StackError):
        quoted(value)


def test_a_value_with_double_quotes_gets_single_ones() -> None:
    assert quoted('say "hello"') == "'say \"hello\"'"


def test_the_socket_stays_in_the_folder_while_its_path_is_short_enough() -> None:
    assert socket_path(FOLDER).parent == FOLDER


def test_the_socket_of_a_deep_folder_has_a_short_path_of_its_own() -> None:
    deep = FOLDER / ("deeper" * 20)
    path = socket_path(deep)
    assert len(str(path)) <= MAX_SOCKET_PATH
    assert path != socket_path(deep / "other")


def test_services_stop_before_the_servers_they_stand_on() -> None:
    listed = programs(python=Path("/srv/clone/.venv/bin/python"), port=8080, monitor_port=8082, environment={})
    workers = [f"{kind}-worker" for kind in topology.KINDS]
    assert [each.name for each in listed] == ["monitor", *workers, "gateway"]
    assert all(each.priority > program().priority for each in listed)


def test_the_gateway_listens_on_the_loopback_address_alone() -> None:
    listed = programs(python=Path("python"), port=8081, monitor_port=8082, environment={})
    gateway = next(each for each in listed if each.name == "gateway")
    assert gateway.command[-2:] == ("--bind", "127.0.0.1:8081")


def test_the_monitor_is_told_its_port() -> None:
    listed = programs(python=Path("python"), port=8080, monitor_port=8099, environment={"MONITOR_PORT": "1"})
    monitor = next(each for each in listed if each.name == "monitor")
    assert monitor.environment["MONITOR_PORT"] == "8099"
