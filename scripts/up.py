"""Starts everything on this machine, or finds it running; leaves `.local/demo.env` behind and says where things are.

Needs what `scripts/bootstrap.py` installs. Running it again changes nothing that runs as it should.
"""

import argparse
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pika
from pika.exceptions import AMQPError
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis, RedisError

from stack import compose, demo_env, leftovers, listeners, mongodb, rabbitmq, redis_server, services
from stack.addresses import Addresses, choose_ports, kept_ports, remember_ports, remembered_ports, resolve
from stack.ports import LOOPBACK, wait_until
from stack.server import Server, ServerMissing
from stack.supervision import Supervisor, configuration, program_of
from stack.telling import StackError, say, step

ROOT = Path(__file__).resolve().parent.parent
VENV_BIN = ROOT / ".venv" / "bin"
LOCAL = ROOT / ".local"
LOGS = LOCAL / "log"
PORTS = LOCAL / "ports.json"
CONTAINER_PORTS = LOCAL / "compose.json"
DEMO_ENV = LOCAL / "demo.env"
SUPERVISOR = Supervisor(folder=LOCAL / "supervisor", home=LOCAL)
SERVER_PRIORITY = 10
READY_SECONDS = 90
COMMAND_SECONDS = 120


def settle_ports() -> dict[str, int]:
    """The port of each program, by name, checked before anything is started. What runs keeps its ports."""
    if not SUPERVISOR.is_running() and leftovers.find(LOCAL):
        with step("processes left over from before") as details:
            details.append(f"{leftovers.end(LOCAL)} ended")
    running, remembered = SUPERVISOR.running(), remembered_ports(PORTS)
    kept = kept_ports(remembered, running=running)
    chosen = listeners.choose_all(os.environ, remembered=remembered, running=running, ours=kept)
    ports = {**choose_ports(remembered, kept=kept, taken=frozenset(chosen.values())), **chosen}
    remember_ports(PORTS, ports)
    return ports


def private_servers(addresses: Addresses) -> list[Server]:
    """In the order in which to start them: the slowest first."""
    servers: list[Server] = []
    if "rabbitmq" in addresses.private:
        servers += [rabbitmq.epmd(addresses.ports), rabbitmq.broker(LOCAL / "rabbitmq", addresses.ports)]
    if "mongodb" in addresses.private:
        servers.append(mongodb.mongodb(LOCAL / "mongo", addresses.ports, installed=LOCAL / "mongodb"))
    if "redis" in addresses.private:
        servers.append(redis_server.redis(LOCAL / "redis", addresses.ports))
    return servers


def supervise(servers: list[Server], addresses: Addresses, ports: dict[str, int]) -> list[str]:
    """Has supervisord run with the servers and services as its programs; returns the names of the services."""
    wanted = services.programs(
        python=VENV_BIN / "python",
        port=ports["gateway"],
        monitor_port=ports["monitor"],
        environment=addresses.environment(),
    )
    watched = [program_of(server, priority=SERVER_PRIORITY + n) for n, server in enumerate(servers)]
    LOGS.mkdir(parents=True, exist_ok=True)
    with step("supervisor"):
        for server in servers:
            server.prepare()
        SUPERVISOR.apply(
            configuration([*watched, *wanted], folder=LOCAL / "supervisor", directory=ROOT, log_folder=LOGS)
        )
    return [program.name for program in wanted]


def start_servers(servers: list[Server]) -> None:
    """All are started before the first is waited for; only the broker must find its port mapper there."""
    for server in servers:
        SUPERVISOR.start(server.name)
        if server.name == "epmd":
            wait_until(server.ready, seconds=server.ready_seconds, what="epmd to be ready")
    for server in reversed([server for server in servers if server.name != "epmd"]):
        with step(server.name):
            wait_for(server.name, server.ready, seconds=server.ready_seconds)


def wait_for(name: str, ready: Callable[[], bool], *, seconds: float, said: Callable[[str], str] | None = None) -> None:
    try:
        wait_until(ready, seconds=seconds, what=f"{name} to be ready")
    except StackError as error:
        raise StackError(f"{error}\n{(said or last_words)(name)}") from error


def last_words(program: str) -> str:
    log = LOGS / f"{program}.log"
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log.exists() else []
    return "\n".join([f"The end of {log.relative_to(ROOT)}:", *said])


def check_given_servers(addresses: Addresses) -> None:
    """Servers named in the environment are used as they are; here they only have to answer."""
    checks = {
        "mongodb": (ping_mongodb, addresses.mongodb_url),
        "rabbitmq": (ping_rabbitmq, addresses.amqp_url),
        "redis": (ping_redis, addresses.redis_url),
    }
    for name, (ping, url) in checks.items():
        if name in addresses.private:
            continue
        with step(f"{name} of the environment at {place(url)}"):
            try:
                ping(url)
            except (PyMongoError, AMQPError, RedisError, OSError) as error:
                raise StackError(f"{name} at {place(url)} does not answer: {error!r}") from error


def ping_mongodb(url: str) -> None:
    with MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=10_000) as client:
        client.admin.command("ping")


def ping_rabbitmq(url: str) -> None:
    pika.BlockingConnection(pika.URLParameters(url)).close()


def ping_redis(url: str) -> None:
    with Redis.from_url(url, socket_timeout=10) as client:
        client.ping()


def place(url: str) -> str:
    """An address without the credentials in it."""
    return urlsplit(url).netloc.rpartition("@")[2]


def admin(addresses: Addresses, *arguments: str) -> str:
    """Runs `collect-admin`; keys of an earlier run are in its environment, so that seeding again can keep them."""
    before = {name: value for name, value in demo_env.read(DEMO_ENV).items() if name in demo_env.KEY_NAMES}
    command = [str(VENV_BIN / "python"), str(VENV_BIN / "collect-admin"), *arguments]
    environment = {**os.environ, **before, **addresses.environment()}
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    if result.returncode != 0:
        raise StackError(f"`collect-admin {' '.join(arguments)}` failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def migrate_and_seed(addresses: Addresses) -> dict[str, str]:
    with step("indexes and collections"):
        admin(addresses, "migrate")
    with step("demo organisations, datasets and keys"):
        keys = demo_env.parse(admin(addresses, "seed", "demo", "--env"))
    missing = [name for name in demo_env.KEY_NAMES if name not in keys]
    if missing:
        raise StackError(f"`collect-admin seed demo --env` did not print {', '.join(missing)}.")
    return {name: keys[name] for name in demo_env.KEY_NAMES}


def readiness(addresses: Addresses, url: str) -> dict[str, Callable[[], bool]]:
    """How one knows of each service that it is ready."""
    return {
        **{name: partial(services.has_consumer, addresses.amqp_url, queue) for name, queue in services.QUEUES.items()},
        "gateway": partial(services.gateway_is_ready, url),
    }


def start_services(names: list[str], addresses: Addresses, url: str) -> None:
    for name in names:
        SUPERVISOR.start(name)
    ready = readiness(addresses, url)
    for name in names:
        with step(name):
            wait_for(name, ready[name], seconds=READY_SECONDS)


def write_demo_env(url: str, keys: dict[str, str], addresses: Addresses) -> None:
    database = os.environ.get("MONGODB_DATABASE") or "collect"
    demo_env.write(DEMO_ENV, {"COLLECT_URL": url, **keys, **addresses.environment(), "MONGODB_DATABASE": database})


def tell(url: str, addresses: Addresses, *, logs: str, monitor_port: int | None = None) -> None:
    monitor = "" if monitor_port is None else f"\n  monitor               http://{LOOPBACK}:{monitor_port}"
    say(f"""
Everything is up.
  gateway               {url}   (its API: {url}/docs){monitor}
  RabbitMQ management   {addresses.management_url}
  RabbitMQ              {addresses.amqp_url}
  MongoDB               {addresses.mongodb_url}
  Redis                 {addresses.redis_url}
  keys and addresses    {DEMO_ENV.relative_to(ROOT)}      (set -a; . {DEMO_ENV.relative_to(ROOT)})
  logs                  {logs}
`make down` stops it.""")


def bring_up(*, only_servers: bool) -> None:
    ports = settle_ports()
    addresses = resolve(os.environ, ports)
    servers = private_servers(addresses)
    names = supervise(servers, addresses, ports)
    start_servers(servers)
    check_given_servers(addresses)
    if only_servers:
        return
    for listener in listeners.LISTENERS:
        if (moved := listeners.moved(listener, ports[listener.name])) is not None:
            say(moved)
    url = f"http://{LOOPBACK}:{ports['gateway']}"
    keys = migrate_and_seed(addresses)
    start_services(names, addresses, url)
    write_demo_env(url, keys, addresses)
    tell(url, addresses, logs=f"{LOGS.relative_to(ROOT)}/", monitor_port=ports["monitor"])


def bring_up_containers() -> None:
    command = compose.find(os.environ)
    if SUPERVISOR.is_running():
        raise StackError("The system is up without containers. `make down` stops it, its data stays.")
    running = CONTAINER_PORTS.exists() and bool(compose.Compose(command=command, root=ROOT).containers("gateway"))
    before = remembered_ports(CONTAINER_PORTS)
    port = listeners.choose(
        listeners.GATEWAY,
        os.environ,
        remembered=before.get("gateway"),
        holds=running,
        ours={name: before[name] for name in compose.PORT_NAMES if running and name in before},
        command="make up ENGINE=docker",
    )
    if (moved := listeners.moved(listeners.GATEWAY, port)) is not None:
        say(moved)
    ports = compose.choose_ports(before, gateway=port, running=running)
    remember_ports(CONTAINER_PORTS, ports)
    stack = compose.Compose(command=command, root=ROOT, ports=ports)
    # Who names a version means images that are there.
    if not os.environ.get("VERSION"):
        with step("images"):
            stack.build()
    with step("containers"):
        stack.up()
    url = f"http://{LOOPBACK}:{port}"
    addresses = compose.addresses(ports)
    for name, ready in readiness(addresses, url).items():
        with step(name):
            wait_for(name, ready, seconds=READY_SECONDS, said=stack.last_words)
    write_demo_env(url, migrate_and_seed(addresses), addresses)
    tell(url, addresses, logs=" ".join([*map(str, stack.command), "logs"]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-servers", action="store_true", help="start no service, migrate and seed nothing")
    parser.add_argument("--engine", choices=["docker"], help="in containers, by docker-compose.yml")
    asked = parser.parse_args()
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            # What is up in containers stays there until `make down`: `make demo` finds it as it is.
            if asked.engine or CONTAINER_PORTS.exists():
                bring_up_containers()
            else:
                bring_up(only_servers=asked.only_servers)
        except ServerMissing as error:
            say(f"{error} is not on this machine. `make bootstrap` installs it.")
            return 1
        except (StackError, subprocess.TimeoutExpired) as error:
            say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
