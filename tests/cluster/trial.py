"""The whole trial, step by step. Prints what was measured, and ends with 1 at the first thing that is not so."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster import load
from cluster.kube import ROOT, CommandFailed, Namespace, run
from cluster.load import Load
from cluster.release import SERVICES, Outside, Release
from collect.demo import baseline, survey
from collect.testing.system import eventually
from stack.telling import say

NAMESPACE, RELEASE = "collect-trial", "collect"
RESPONSES, MANY_RESPONSES = 400_000, 3_000_000
SMALL, MEASURED_SHARE = 100, 0.25
READY_SECONDS, DRAIN_SECONDS = 5, 10
"""The aims: from a container's start to its pod's being ready, and from SIGTERM to the pod's end."""
WORKERS = tuple(service for service in SERVICES if service.endswith("-worker"))


class Trial:
    """A release in a namespace of its own, from the first image to nothing left."""

    def __init__(self) -> None:
        self._namespace = Namespace(NAMESPACE)
        self._release = Release(name=RELEASE, namespace=self._namespace)
        self._now, self._earlier = "trial", "trial-earlier"

    def steps(self) -> dict[str, Callable[[], None]]:
        """In the order in which they follow each other."""
        return {
            "images": self.images,
            "install": self.install,
            "examples": self.examples,
            "upgrade": self.upgrade,
            "disturb": self.disturb,
            "scale": self.scale,
            "uninstall": self.uninstall,
        }

    def images(self) -> None:
        """Built from this commit and from the earlier one, and brought into the cluster."""
        registry = os.environ.get("REGISTRY", "collect-jobs")
        with _earlier() as earlier:
            for folder, version in ((earlier, self._earlier), (ROOT, self._now)):
                say(run("make", "--silent", "images", environment={"VERSION": version}, folder=folder))
        ours = [f"{registry}/{service}:{version}" for version in (self._earlier, self._now) for service in SERVICES]
        loading = shlex.split(os.environ.get("LOAD_IMAGES", ""))
        if loading:
            run(*loading, *ours, *os.environ.get("SERVER_IMAGES", "").split())

    def install(self) -> None:
        """One command, into a namespace that enforces the restricted standard; and a first job."""
        began = time.monotonic()
        self._namespace.create()
        with _earlier() as earlier:
            self._release.install(self._earlier, chart=earlier / "charts" / "collect-jobs")
        self._release.rolled_out()
        say(f"  ready after {time.monotonic() - began:.0f} s")
        with self._release.outside() as outside, tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rows.csv")
            baseline.save_csv(baseline.Survey(rows=SMALL, first=1_000_001), path)
            file = outside.client.files.upload(path)
            job = outside.client.jobs.create(
                "upload", {"file_id": file.id, "dataset": baseline.NAME}, reason="first"
            ).id
            seen = outside.client.jobs.wait(job, timeout_seconds=120)
            assert (seen.state, seen.progress.succeeded) == ("succeeded", SMALL), seen
            say(f"  from `helm install` to the first finished job: {time.monotonic() - began:.0f} s")
            outside.client.jobs.undo(job, reason="only to see", wait_seconds=30.0)

    def examples(self) -> None:
        """`helm test` plays the first; the demo all three, through the Service."""
        self._namespace.helm("test", RELEASE, "--timeout", "10m")
        with self._release.outside() as outside, tempfile.TemporaryDirectory() as folder:
            environment = Path(folder, "demo.env")
            self._release.write_environment(outside, environment)
            demo = ("scripts/demo.py", "--env-file", str(environment), "--folder", folder)
            say(run(sys.executable, *demo).rsplit("\n\n", 1)[0])
        self._sound()

    def upgrade(self) -> None:
        """From the earlier images to these, with a job of each kind in the middle of its work."""
        with self._in_the_middle():
            began = time.monotonic()
            self._release.upgrade(self._now)
            say(f"  upgraded in {time.monotonic() - began:.0f} s")

    def disturb(self) -> None:
        """Everything is restarted, killed and moved, with a job of each kind in the middle of its work."""
        with self._in_the_middle():
            for service in SERVICES:
                deployment = self._release.deployment(service)
                began = time.monotonic()
                self._namespace.kubectl("rollout", "restart", f"deployment/{deployment}")
                self._namespace.rolled_out(deployment)
                say(f"  {service} restarted in {time.monotonic() - began:.0f} s")
            self._start_and_drain()
            for service in SERVICES:
                for pod in self._namespace.pods(service):
                    name = pod["metadata"]["name"]
                    self._namespace.kubectl("delete", "pod", name, "--force", "--grace-period=0")
            self._release.rolled_out()
            say("  every pod of the services deleted by force")
            self._drain()

    def scale(self) -> None:
        """`kubectl scale` while one export runs: rows per second before and after. One slot a pod, to see pods."""
        self._release.upgrade(self._now, "services.export-worker.slots=1")
        deployment = f"deployment/{self._release.deployment('export-worker')}"
        with self._release.outside() as outside:
            self._responses(outside, MANY_RESPONSES)
            export = {"form_id": survey.FORM_ID, "from_date": "2010-01-01", "format": "csv.gz"}
            job = outside.client.jobs.create("export", export, reason="scaled").id
            if outside.client.jobs.get(job).state == "awaiting_confirmation":
                outside.client.jobs.confirm(job, reason="as wide as can be")
            one = self._speed(outside, job)
            self._namespace.kubectl("scale", deployment, "--replicas=2")
            self._release.rolled_out()
            two = self._speed(outside, job)
            say(f"  one pod {one:,.0f} rows/s, two pods {two:,.0f}: {two / one:.2f} times as fast")
            outside.client.jobs.wait(job, "rest", timeout_seconds=load.REST_SECONDS)
        self._namespace.kubectl("scale", deployment, "--replicas=1")
        self._sound()

    def uninstall(self) -> None:
        """And nothing is left."""
        self._release.uninstall()
        eventually(lambda: not self._namespace.objects(), seconds=120, what="nothing is left")
        self._namespace.delete()

    @contextmanager
    def _in_the_middle(self) -> Iterator[None]:
        """Three jobs run meanwhile; then they are seen through."""
        with self._release.outside() as outside:
            begun = load.begun(outside, responses=self._responses(outside))
        yield
        with self._release.outside() as outside:
            self._see_through(outside, begun)
        self._sound()

    def _see_through(self, outside: Outside, begun: Load) -> None:
        assert load.under_way(outside, begun), "the jobs were done before anything had happened to them"
        load.seen_through(outside, begun)
        say("  nothing was lost, nothing doubled, and all of it was taken back")

    def _responses(self, outside: Outside, wanted: int = RESPONSES) -> int:
        """Make those that are missing; returns how many are in the load's range."""
        missing = wanted - outside.db.responses.count_documents({"org_id": "labs"})
        if missing > 0:
            self._release.admin("seed", "responses", "--rows", str(missing))
        since = {"$gte": datetime.fromisoformat(f"{load.SINCE}T00:00:00Z")}
        return outside.db.responses.count_documents({"org_id": "labs", "submitted_at": since})

    def _speed(self, outside: Outside, job: str) -> float:
        """Rows per second over a share of the responses, from when the job moves."""
        share = MANY_RESPONSES * MEASURED_SHARE

        def done() -> int:
            return outside.client.jobs.get(job).progress.succeeded

        first = done()
        eventually(lambda: done() > first, seconds=120, what="the export moves")
        first, began = done(), time.monotonic()
        eventually(lambda: done() >= first + share, seconds=300, what="a share of the export is done")
        return (done() - first) / (time.monotonic() - began)

    def _start_and_drain(self) -> None:
        """Every service is ready and gone as soon as is aimed at; what is not is said of all of them."""
        missed = []
        for service in SERVICES:
            pod = self._namespace.pods(service)[0]
            ready = seconds_to_ready(pod)
            began = time.monotonic()
            self._namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=true")
            ended = time.monotonic() - began - seconds_before_sigterm(pod)
            said = f"{service}: from start to ready {ready} s, from SIGTERM to its end {ended:.1f} s"
            say(f"  {said}")
            if ready > READY_SECONDS or ended > DRAIN_SECONDS:
                missed.append(said)
            self._release.rolled_out()
        assert not missed, f"aims of {READY_SECONDS} s and {DRAIN_SECONDS} s missed: {missed}"

    def _drain(self) -> None:
        """Every node in turn, where there is another that takes its pods."""
        nodes = run("kubectl", "get", "nodes", "-o", "name").split()
        for node in nodes if len(nodes) > 1 else []:
            name = node.removeprefix("node/")
            began = time.monotonic()
            options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s")
            try:
                run("kubectl", "drain", name, *options)
            finally:
                run("kubectl", "uncordon", name)
            self._release.rolled_out()
            say(f"  {name} drained in {time.monotonic() - began:.0f} s")

    def _sound(self) -> None:
        """The invariants hold, as the stores show them."""
        say(f"  {self._release.admin('check', '--wait', '120')}")


def seconds_to_ready(pod: dict[str, Any]) -> int:
    """From its container's start to its being ready; of 4.2 s Kubernetes, which notes whole seconds, makes 4 or 5."""
    (container,) = pod["status"]["containerStatuses"]
    (ready,) = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    started = datetime.fromisoformat(container["state"]["running"]["startedAt"])
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - started).seconds


def seconds_before_sigterm(pod: dict[str, Any]) -> int:
    """How long the chart has it wait before it is told to end."""
    (container,) = pod["spec"]["containers"]
    command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    return sum(int(seconds) for word in command for seconds in re.findall(r"\bsleep\((\d+)\)", word))


@contextmanager
def _earlier() -> Iterator[Path]:
    """The tree of the commit from which to upgrade."""
    commit = os.environ.get("EARLIER", "HEAD")
    with tempfile.TemporaryDirectory() as folder:
        run("git", "worktree", "add", "--detach", f"{folder}/tree", commit)
        try:
            yield Path(folder, "tree")
        finally:
            run("git", "worktree", "remove", "--force", f"{folder}/tree")


def main(asked: list[str]) -> int:
    """Play the steps that are asked for, or all."""
    steps = Trial().steps()
    for name in asked or steps:
        say(f"== {name}")
        began = time.monotonic()
        try:
            steps[name]()
        except (AssertionError, CommandFailed, TimeoutError):
            traceback.print_exc()
            return 1
        say(f"== {name}: {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
