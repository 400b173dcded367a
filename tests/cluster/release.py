"""One release of the chart, and what can be done with it from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cluster.kube import CHART, Namespace
from collect.client import CollectClient
from collect.storage.database import Database, connect
from stack import demo_env

GATEWAY_PORT = 80
MONGODB_PORT = 27017
SERVICES = ("gateway", "upload-worker", "export-worker", "teams-worker", "monitor")


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A release as somebody sees it who may forward ports: its API, with the demo's key, and its database."""

    client: CollectClient
    db: Database
    environment: dict[str, str]


class Release:
    """The demo's values, and whatever HELM_VALUES adds."""

    def __init__(self, *, name: str, namespace: Namespace) -> None:
        self.name = name
        self.namespace = namespace
        self._values: list[str] = []
        for more in os.environ.get("HELM_VALUES", "").split():
            self._values += ["--values", more]

    def deployment(self, component: str) -> str:
        """Its name."""
        return f"{self.name}-collect-jobs-{component}"

    def install(self, version: str, *, chart: Path) -> None:
        self._apply("install", version, (), chart)

    def upgrade(self, version: str, *settings: str) -> None:
        """To this chart."""
        self._apply("upgrade", version, settings, CHART)
        self.rolled_out()

    def rolled_out(self) -> None:
        """Wait until all pods are those that were asked for."""
        self.namespace.rolled_out(*(self.deployment(service) for service in SERVICES))

    def uninstall(self) -> None:
        self.namespace.helm("uninstall", self.name, "--wait")

    def admin(self, *arguments: str) -> str:
        """What `collect-admin` says, run in the toolbox."""
        toolbox = f"deployment/{self.deployment('toolbox')}"
        return self.namespace.kubectl("exec", toolbox, "--", "collect-admin", *arguments)

    @contextmanager
    def outside(self) -> Iterator[Outside]:
        """Reach it, with the demo's organisations and keys in it."""
        keys = demo_env.parse(self.admin("seed", "demo", "--env"))
        with (
            self.namespace.forwarded(f"service/{self.deployment('gateway')}", GATEWAY_PORT) as gateway,
            self.namespace.forwarded(f"service/{self.deployment('mongodb')}", MONGODB_PORT) as mongodb,
        ):
            environment = {
                **keys,
                "COLLECT_URL": f"http://127.0.0.1:{gateway}",
                "MONGODB_URL": self._operators_mongodb(mongodb),
                "MONGODB_DATABASE": "collect",
                "RABBITMQ_MANAGEMENT_URL": "(not forwarded)",
            }
            with CollectClient.from_environment(environment) as client:
                db = connect(environment["MONGODB_URL"], database="collect", app_name="cluster-trial")
                try:
                    yield Outside(client=client, db=db, environment=environment)
                finally:
                    db.close()

    def write_environment(self, outside: Outside, path: Path) -> None:
        """As `make up` leaves it behind, for the demo."""
        demo_env.write(path, outside.environment)

    def _operators_mongodb(self, port: int) -> str:
        secret = self.namespace.kubectl(
            "get", "secret", self.deployment("operator"), "-o", "go-template={{.data.MONGODB_URL | base64decode}}"
        )
        url = urlsplit(secret)
        login = url.netloc.rpartition("@")[0]
        return url._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()

    def _apply(self, verb: str, version: str, settings: tuple[str, ...], chart: Path) -> None:
        registry = os.environ.get("REGISTRY", "collect-jobs")
        wanted = (f"image.tag={version}", f"image.registry={registry}", *settings)
        self.namespace.helm(
            *(
                verb,
                self.name,
                str(chart),
                "--timeout",
                "10m",
                "--values",
                str(chart / "values-demo.yaml"),
                *self._values,
            ),
            *(word for setting in wanted for word in ("--set", setting)),
        )
