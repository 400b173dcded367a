"""kubectl and helm, as this trial uses them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collect.testing.system import eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "collect-jobs"
COMMAND_SECONDS = 900


class CommandFailed(Exception):
    """A command did not end well: what it said."""


def run(*command: str, environment: dict[str, str] | None = None, folder: Path = ROOT) -> str:
    """What the command says.

    Raises:
        CommandFailed: its exit code is not 0.
    """
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


class Namespace:
    """A namespace of the trial's own, in which the restricted Pod Security Standard is enforced."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self) -> None:
        run("kubectl", "create", "namespace", self.name)
        level = "pod-security.kubernetes.io/enforce=restricted"
        run("kubectl", "label", "namespace", self.name, level)

    def delete(self) -> None:
        run("kubectl", "delete", "namespace", self.name, "--wait=true")

    def kubectl(self, *arguments: str) -> str:
        return run("kubectl", "--namespace", self.name, *arguments)

    def helm(self, *arguments: str) -> str:
        return run("helm", "--namespace", self.name, *arguments)

    def rolled_out(self, *deployments: str) -> None:
        """Wait until each of them is as it was asked for."""
        for deployment in deployments:
            self.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=300s")

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Of one service, as the API shows them, but for those that are on their way out."""
        selector = f"--selector=app.kubernetes.io/component={component}"
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "pods", selector, "-o", "json"))["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def objects(self) -> list[str]:
        """What is there, but for what each namespace has of its own."""
        kinds = "all,pvc,secret,configmap,serviceaccount,ingress,networkpolicy,poddisruptionbudget,role,rolebinding"
        names = self.kubectl("get", kinds, "-o", "name").splitlines()
        own = ("serviceaccount/default", "secret/default-token", "configmap/kube-root-ca.crt")
        return [name for name in names if not name.startswith(own)]

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A port of this machine that leads to the target's, for as long as the context lasts."""
        local = free_port()
        command = ["kubectl", "--namespace", self.name, "port-forward", target, f"{local}:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _listens(local), seconds=60, what=f"{target} is forwarded")
            yield local
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
