"""What the chart makes of values: rendered by Helm once for each set of them, and read as objects."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "collect-jobs"
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml"))
WORKERS = [name for name in SERVICES if name.endswith("-worker")]
RELEASE = "trial"
NAMESPACE = "somewhere"
NAME = f"{RELEASE}-collect-jobs"
COMPONENT = "app.kubernetes.io/component"

Object = dict[str, Any]
Values = Mapping[str, Any]

OUTSIDE: Values = {
    "services": {name: {"existingSecret": f"of-{name}"} for name in SERVICES},
    "operator": {"existingSecret": "of-operator"},
}
"""The least that has to be said where the servers are outside."""


class Refused(Exception):
    """Helm did not render it: what it said."""


def helm_programme() -> str | None:
    """The pinned one, else one that is installed."""
    pinned = ROOT / ".local" / "helm" / "helm"
    return str(pinned) if pinned.exists() else shutil.which("helm")


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    objects: tuple[Object, ...]

    def all(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, component: str) -> Object:
        """The object that is named for a part of the release; there must be it."""
        (found,) = [each for each in self.all(kind) if each["metadata"]["name"] == f"{NAME}-{component}"]
        return found

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Every pod that this makes, as a template: whose it is, and its metadata and spec."""
        for each in self.objects:
            whose = f"{each['kind']} {each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield whose, each
            elif "template" in each.get("spec", {}):
                yield whose, each["spec"]["template"]

    def settings(self, service: str) -> dict[str, str]:
        data: dict[str, str] = self.one("ConfigMap", service)["data"]
        return data


def containers(pod: Object) -> list[Object]:
    """All of a pod's, those included that run before the others."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def render(*files: str, values: Values | None = None, kubernetes: str = "1.33", upgrade: bool = False) -> Rendered:
    """The chart with values files of its own (``demo``, ``production``), and with ``values`` over them.

    Raises:
        Refused: schema or chart do not take the values.
    """
    return _render(files, json.dumps(values or {}, sort_keys=True), kubernetes, upgrade)


def demo(values: Values | None = None) -> Rendered:
    return render("demo", values=values)


def outside(values: Values | None = None, *, kubernetes: str = "1.33") -> Rendered:
    """The servers are outside, and only what must be said is said."""
    return render(values=over(OUTSIDE, values or {}), kubernetes=kubernetes)


def over(below: Values, above: Values) -> Values:
    """Values over values, as Helm lays them."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


@functools.cache
def _render(files: tuple[str, ...], values: str, kubernetes: str, upgrade: bool) -> Rendered:
    command = ["template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", kubernetes]
    for name in files:
        command += ["--values", str(CHART / f"values-{name}.yaml")]
    if upgrade:
        command.append("--is-upgrade")
    text = run_helm(*command, "--values", "-", given=values)
    return Rendered(tuple(each for each in yaml.safe_load_all(text) if each))


def run_helm(*arguments: str, given: str = "") -> str:
    """What Helm says to it, without a cluster.

    Raises:
        Refused: its exit code is not 0.
    """
    programme = helm_programme()
    if programme is None:
        raise FileNotFoundError("helm")
    alone = {name: value for name, value in os.environ.items() if name != "KUBECONFIG" and not name.startswith("HELM_")}
    done = subprocess.run(
        [programme, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False, env=alone
    )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout
