"""Every pod is as the Pod Security Standard `restricted` wants it, and a little more."""

import pytest

from chart.rendering import SERVICES, Object, Rendered, containers, render
from chart.test_rendering import WAYS

DRAIN_SECONDS = 10
# What a pod may mount; all else comes from the node.
VOLUMES = {"configMap", "emptyDir", "secret", "persistentVolumeClaim"}


def found(way: str) -> Rendered:
    files, values = WAYS[way]
    return render(*files, values=values)


def every_pod(way: str) -> list[tuple[str, Object]]:
    pods = list(found(way).pods())
    assert len(pods) > len(SERVICES)
    return pods


pytestmark = pytest.mark.parametrize("way", WAYS)


def test_no_pod_runs_as_root_or_without_seccomp(way: str) -> None:
    for whose, pod in every_pod(way):
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, whose
        assert security["runAsUser"] > 0, whose
        assert security["runAsGroup"] > 0, whose
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, whose
        assert not {"sysctls", "supplementalGroups", "windowsOptions"} & set(security), whose


def test_our_own_images_run_as_the_user_they_are_made_for(way: str) -> None:
    for name in SERVICES:
        security = found(way).one("Deployment", name)["spec"]["template"]["spec"]["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (10001, 10001)


def test_no_container_gains_rights_or_writes_to_its_image(way: str) -> None:
    for whose, pod in every_pod(way):
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, whose


def test_no_pod_takes_anything_of_its_node(way: str) -> None:
    for whose, pod in every_pod(way):
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod["spec"]), whose
        for volume in pod["spec"]["volumes"]:
            (kind,) = set(volume) - {"name"}
            assert kind in VOLUMES, whose
        for container in containers(pod):
            assert all("hostPort" not in port for port in container.get("ports", [])), whose


def test_no_pod_has_a_token_of_the_api(way: str) -> None:
    for whose, pod in every_pod(way):
        assert pod["spec"]["automountServiceAccountToken"] is False, whose
    accounts = found(way).all("ServiceAccount")
    assert all(each["automountServiceAccountToken"] is False for each in accounts)
    assert not found(way).all("Role")
    assert not found(way).all("ClusterRole")


def test_what_runs_on_has_an_account_of_its_own(way: str) -> None:
    used = [pod["spec"]["serviceAccountName"] for whose, pod in every_pod(way) if not whose.startswith("Job ")]
    # Toolbox and self-test, which have the operator's Secret, share the operator's.
    assert sorted(set(used)) == sorted(each["metadata"]["name"] for each in found(way).all("ServiceAccount"))


def test_every_folder_that_is_written_has_a_bound(way: str) -> None:
    for whose, pod in every_pod(way):
        for volume in pod["spec"]["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], whose
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}, whose


def test_memory_is_promised_in_full_and_processor_time_has_no_limit(way: str) -> None:
    for whose, pod in every_pod(way):
        for container in containers(pod):
            resources = container["resources"]
            assert resources["requests"]["cpu"], whose
            assert resources["requests"]["memory"] == resources["limits"]["memory"], whose
            assert set(resources["limits"]) == {"memory"}, whose


def test_a_pod_that_fails_says_why_in_its_last_message(way: str) -> None:
    for whose, pod in every_pod(way):
        for container in containers(pod):
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", whose


def test_a_service_is_restarted_for_what_it_does_itself_and_never_for_what_its_servers_do(way: str) -> None:
    for name in SERVICES:
        (container,) = found(way).one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
        # A gateway's threads may all wait for slow senders, or for a database that is away.
        liveness = container["livenessProbe"]
        asked = (
            {"tcpSocket": {"port": "http"}} if name == "gateway" else {"httpGet": {"path": "/healthz", "port": "http"}}
        )
        assert asked.items() <= liveness.items()
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        # Half a minute without an answer at least: a busy machine is no reason.
        assert container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"] >= 30


def test_servers_are_not_restarted_for_being_slow(way: str) -> None:
    for each in found(way).all("StatefulSet"):
        for container in containers(each["spec"]["template"]):
            assert "livenessProbe" not in container


def test_a_pod_has_longer_to_end_than_it_needs_to_give_its_work_back(way: str) -> None:
    for name in SERVICES:
        spec = found(way).one("Deployment", name)["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        stop = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["0"])[-1]
        waits = int("".join(character for character in stop if character.isdigit()))
        assert spec["terminationGracePeriodSeconds"] > waits + DRAIN_SECONDS


def test_a_roll_out_takes_no_pod_away_before_another_is_ready(way: str) -> None:
    for name in SERVICES:
        strategy = found(way).one("Deployment", name)["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_pods_of_a_service_are_spread_over_zones_and_nodes_where_there_are_several(way: str) -> None:
    for name in SERVICES:
        spread = found(way).one("Deployment", name)["spec"]["template"]["spec"]["topologySpreadConstraints"]
        keys = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert [(each["topologyKey"], each["whenUnsatisfiable"]) for each in spread] == [
            (key, "ScheduleAnyway") for key in keys
        ]
