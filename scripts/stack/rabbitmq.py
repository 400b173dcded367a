"""A private RabbitMQ node with its management console, and the port mapper (epmd) that belongs to it alone."""

import base64
import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from stack.ports import LOOPBACK, is_open
from stack.server import Server, ServerMissing

PORT_NAMES = ("amqp", "management", "distribution", "epmd")
# The wrapper of the same name in /usr/sbin changes user and folder when root calls it.
DEBIAN_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
NODE_NAME = "collect@localhost"


def server_programme() -> str:
    if DEBIAN_SERVER.exists():
        return str(DEBIAN_SERVER)
    found = shutil.which("rabbitmq-server")
    if found is None:
        raise ServerMissing("rabbitmq-server")
    return found


def epmd_programme() -> str:
    found = shutil.which("epmd")
    if found is None:
        raise ServerMissing("epmd")
    return found


def amqp_url(ports: dict[str, int]) -> str:
    return f"amqp://guest:guest@{LOOPBACK}:{ports['amqp']}/%2F"


def management_url(ports: dict[str, int]) -> str:
    return f"http://guest:guest@{LOOPBACK}:{ports['management']}"


def environment(root: Path, ports: dict[str, int]) -> dict[str, str]:
    """What the node and `rabbitmqctl` need to find each other, and nothing of another node's on this machine."""
    return {
        "HOME": str(root / "home"),
        "RABBITMQ_NODENAME": NODE_NAME,
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(root / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(root / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(root / "mnesia"),
        "RABBITMQ_LOG_BASE": str(root / "log"),
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        # Busy waiting of the Erlang schedulers would take the cores from everything else on a small machine.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
        ),
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        # With it the start script replaces itself by the broker, so the pid one sees is the broker's own.
        "RUNNING_UNDER_SYSTEMD": "1",
    }


def configuration(ports: dict[str, int]) -> str:
    return "\n".join(
        [
            f"listeners.tcp.1 = {LOOPBACK}:{ports['amqp']}",
            f"management.tcp.ip = {LOOPBACK}",
            f"management.tcp.port = {ports['management']}",
            "collect_statistics_interval = 1000",
            "",
        ]
    )


def epmd(ports: dict[str, int]) -> Server:
    """The port mapper as a process of its own: one started by the broker would outlive it."""
    port = ports["epmd"]
    return Server(
        name="epmd",
        command=(epmd_programme(), "-port", str(port), "-address", LOOPBACK),
        ready=lambda: is_open(port),
        ready_seconds=10,
        stop_seconds=5,
    )


def broker(root: Path, ports: dict[str, int]) -> Server:
    return Server(
        name="rabbitmq",
        command=(server_programme(),),
        environment=environment(root, ports),
        folders=(root / "home", root / "mnesia", root / "log"),
        files={
            root / "rabbitmq.conf": configuration(ports),
            root / "enabled_plugins": "[rabbitmq_management].\n",
        },
        ready=lambda: is_open(ports["amqp"]) and is_healthy(management_url(ports)),
        ready_seconds=90,
        stop_seconds=30,
    )


def is_healthy(management: str) -> bool:
    """True if the management console answers and says that no alarm is set."""
    try:
        answer = call(management, "GET", "/api/health/checks/alarms")
    except OSError:
        return False
    return isinstance(answer, dict) and answer.get("status") == "ok"


def call(management: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request to the management API; returns the decoded answer, or None for an empty one. Raises OSError."""
    parts = urlsplit(management)
    credentials = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
    request = urllib.request.Request(
        f"{parts.scheme}://{parts.hostname}:{parts.port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Basic " + base64.b64encode(credentials.encode()).decode(),
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


def create_vhost(management: str, name: str) -> None:
    user = unquote(urlsplit(management).username or "guest")
    call(management, "PUT", f"/api/vhosts/{quote(name, safe='')}", {})
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    call(management, "PUT", f"/api/permissions/{quote(name, safe='')}/{quote(user, safe='')}", everything)


def delete_vhost(management: str, name: str) -> None:
    """Deletes the vhost with all its queues and connections; one that is gone already is no error."""
    try:
        call(management, "DELETE", f"/api/vhosts/{quote(name, safe='')}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
