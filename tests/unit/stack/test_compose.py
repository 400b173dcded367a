"""What is said when there is no engine, which Compose is taken, and where things are in containers."""

from pathlib import Path

import pytest

from stack import compose
from stack.telling import StackError


def programme(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": str(tmp_path)}


def test_without_docker_its_name_is_said(environment: dict[str, str]) -> None:
    with pytest.raises(StackError, match="no `docker` on the PATH"):
        compose.find(environment)


def test_an_engine_that_does_not_answer_is_said_with_its_reason_and_what_to_do(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    programme(tmp_path, "docker", "echo 'Cannot connect to the daemon.' >&2; exit 1")
    with pytest.raises(StackError) as raised:
        compose.find(environment)
    assert str(raised.value).startswith("No Docker engine answers: Cannot connect to the daemon.\nStart it")


def test_the_plugin_is_preferred(tmp_path: Path, environment: dict[str, str]) -> None:
    programme(tmp_path, "docker", "exit 0")
    programme(tmp_path, "docker-compose", "exit 0")
    assert compose.find(environment) == (str(tmp_path / "docker"), "compose")


def test_without_the_plugin_the_older_command_does(tmp_path: Path, environment: dict[str, str]) -> None:
    programme(tmp_path, "docker", '[ "$1" != compose ]')
    programme(tmp_path, "docker-compose", "exit 0")
    assert compose.find(environment) == (str(tmp_path / "docker-compose"),)


def test_an_engine_without_compose_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    programme(tmp_path, "docker", '[ "$1" != compose ]')
    with pytest.raises(StackError, match="needs Docker Compose"):
        compose.find(environment)


def test_containers_that_run_keep_their_ports() -> None:
    before = {name: 20_000 + number for number, name in enumerate(compose.PORT_NAMES)}
    assert compose.choose_ports(before, gateway=8080, running=True) == {**before, "gateway": 8080}


def test_every_port_is_given_to_compose_by_a_variable_that_its_files_read() -> None:
    root = Path(__file__).resolve().parents[3]
    text = "".join((root / name).read_text(encoding="utf-8") for name in compose.FILES)
    chosen = compose.choose_ports({}, gateway=8080, running=False)
    assert set(chosen) == set(compose.VARIABLES)
    assert [name for name in compose.VARIABLES.values() if f"127.0.0.1:${{{name}:-" not in text] == []


def test_what_compose_says_when_it_fails_is_told(tmp_path: Path) -> None:
    programme(tmp_path, "compose", "echo 'no space left' >&2; exit 3")
    stack = compose.Compose(command=(str(tmp_path / "compose"),), root=tmp_path)
    with pytest.raises(StackError, match="`compose up --detach` failed:\nno space left"):
        stack.up()
