"""The whole system in containers: what `make up ENGINE=docker` asks of Docker Compose, and where things are then."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.addresses import Addresses
from stack.ports import LOOPBACK, free_ports
from stack.telling import StackError

FILES = ("docker-compose.yml", "docker-compose.host.yml")
PORT_NAMES = ("mongodb", "amqp", "redis", "management")
VARIABLES = {
    "gateway": "COLLECT_PORT",
    "mongodb": "MONGODB_PORT",
    "amqp": "AMQP_PORT",
    "redis": "REDIS_PORT",
    "management": "RABBITMQ_CONSOLE_PORT",
}
BUILD_SECONDS = 1800
COMMAND_SECONDS = 300
CREDENTIALS = "collect:collect"


def find(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command of Docker Compose, once an engine has answered.

    Raises StackError, with what to do, if there is no engine, it does not answer, or Compose is missing.
    """
    docker = shutil.which("docker", path=environment.get("PATH"))
    if docker is None:
        raise StackError("ENGINE=docker needs Docker, and there is no `docker` on the PATH.")
    asked = ask((docker, "version", "--format", "{{.Server.Version}}"), environment)
    if asked.returncode != 0:
        raise StackError(
            f"No Docker engine answers: {last_line(asked.stderr)}\n"
            "Start it, or let DOCKER_HOST name one; `make up` without ENGINE=docker does without."
        )
    if ask((docker, "compose", "version"), environment).returncode == 0:
        return (docker, "compose")
    standalone = shutil.which("docker-compose", path=environment.get("PATH"))
    if standalone is None:
        raise StackError("ENGINE=docker needs Docker Compose: the plugin, or `docker-compose` 1.29.")
    return (standalone,)


def ask(command: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def last_line(said: str) -> str:
    return (said.strip().splitlines() or ["it says nothing"])[-1]


def choose_ports(remembered: dict[str, int], *, gateway: int, running: bool) -> dict[str, int]:
    """Containers that run keep their ports: another one would mean another container."""
    if running and set(remembered) >= set(PORT_NAMES):
        return {**{name: remembered[name] for name in PORT_NAMES}, "gateway": gateway}
    return {**free_ports(PORT_NAMES, remembered=remembered, taken=frozenset([gateway])), "gateway": gateway}


def addresses(ports: dict[str, int]) -> Addresses:
    """As programmes on this machine reach the servers; none of them is to be started otherwise."""
    return Addresses(
        # The set's member has a name that only containers know, so it must not be looked for.
        mongodb_url=f"mongodb://{LOOPBACK}:{ports['mongodb']}/?directConnection=true",
        amqp_url=f"amqp://{CREDENTIALS}@{LOOPBACK}:{ports['amqp']}/%2F",
        redis_url=f"redis://{LOOPBACK}:{ports['redis']}/0",
        management_url=f"http://{CREDENTIALS}@{LOOPBACK}:{ports['management']}",
        private=frozenset(),
        ports=ports,
    )


@dataclass(frozen=True, kw_only=True)
class Compose:
    """Runs Compose on the repository's files. Each call blocks; one that fails raises StackError with what it said."""

    command: tuple[str, ...]
    root: Path
    ports: dict[str, int] = field(default_factory=dict)

    def build(self) -> None:
        self._run("build", seconds=BUILD_SECONDS)

    def up(self) -> None:
        self._run("up", "--detach", seconds=BUILD_SECONDS)

    def down(self) -> None:
        """Containers and network go, volumes stay."""
        self._run("down")

    def remove_data(self) -> None:
        self._run("down", "--volumes")

    def containers(self, service: str) -> list[str]:
        """The ids of the service's running containers."""
        return self._run("ps", "--quiet", service).split()

    def last_words(self, service: str) -> str:
        return self._run("logs", "--tail", "15", service)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **{VARIABLES[name]: str(port) for name, port in self.ports.items()}}

    def _run(self, *arguments: str, seconds: int = COMMAND_SECONDS) -> str:
        files = [word for name in FILES for word in ("--file", name)]
        command = [*self.command, *files, *arguments]
        result = subprocess.run(
            command,
            cwd=self.root,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        if result.returncode != 0:
            said = (result.stdout + result.stderr)[-3000:]
            raise StackError(
                f"`{' '.join([Path(self.command[0]).name, *self.command[1:], *arguments])}` failed:\n{said}"
            )
        return result.stdout
