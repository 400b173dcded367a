"""How many pods there are, who decides it, and what may take one away."""

from typing import Any

import pytest

from chart.rendering import NAME, SERVICES, WORKERS, Values, demo, outside, render
from collect.messaging.topology import job_queue


def scaled(service: str, by: str, **more: Any) -> Values:
    return {"services": {service: {"autoscaling": {"by": by, **more}}}}


def test_a_number_that_is_said_is_the_number_of_pods() -> None:
    found = outside({"services": {"export-worker": {"replicas": 7}}})
    assert found.one("Deployment", "export-worker")["spec"]["replicas"] == 7


def test_none_of_our_numbers_stands_against_somebody_who_scales() -> None:
    by_hand = outside({"services": {"export-worker": {"replicas": None}}})
    assert "replicas" not in by_hand.one("Deployment", "export-worker")["spec"]
    for by in ("cpu", "queue"):
        assert "replicas" not in outside(scaled("export-worker", by)).one("Deployment", "export-worker")["spec"]


def test_nothing_scales_unless_it_is_asked_for() -> None:
    assert not demo().all("HorizontalPodAutoscaler")
    assert not outside().all("HorizontalPodAutoscaler")
    assert not outside().all("ScaledObject")
    assert not outside().all("TriggerAuthentication")


@pytest.mark.parametrize("service", SERVICES)
def test_by_cpu_an_autoscaler_stands_over_the_deployment(service: str) -> None:
    found = outside(scaled(service, "cpu", min=3, max=9, cpuPercent=55))
    spec = found.one("HorizontalPodAutoscaler", service)["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{NAME}-{service}"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 55
    assert not found.all("ScaledObject")


@pytest.mark.parametrize("worker", WORKERS)
def test_by_queue_keda_reads_the_queue_that_the_topology_gives_the_kind(worker: str) -> None:
    found = outside(scaled(worker, "queue", min=2, max=20))
    spec = found.one("ScaledObject", worker)["spec"]
    assert spec["scaleTargetRef"]["name"] == f"{NAME}-{worker}"
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 20)
    (trigger,) = spec["triggers"]
    assert trigger["metadata"]["queueName"] == job_queue(worker.removesuffix("-worker"))
    assert trigger["metadata"]["value"] == found.settings(worker)["COLLECT_SLOTS"]
    assert "fallback" not in spec
    assert not found.all("HorizontalPodAutoscaler")


def test_messages_that_workers_hold_count_or_busy_workers_would_be_taken_away() -> None:
    (trigger,) = outside(scaled("export-worker", "queue")).one("ScaledObject", "export-worker")["spec"]["triggers"]
    assert trigger["type"] == "rabbitmq"
    assert trigger["metadata"]["protocol"] == "http"
    assert trigger["metadata"]["mode"] == "QueueLength"
    assert trigger["metadata"]["excludeUnacknowledged"] == "false"


@pytest.mark.parametrize(("by", "kind"), [("cpu", "HorizontalPodAutoscaler"), ("queue", "ScaledObject")])
def test_pods_are_taken_away_slowly_one_by_one(by: str, kind: str) -> None:
    spec = outside(scaled("export-worker", by)).one(kind, "export-worker")["spec"]
    behavior = spec.get("behavior") or spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300
    assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def test_keda_has_its_password_from_a_secret() -> None:
    values = {**scaled("export-worker", "queue"), "keda": {"existingSecret": "of-keda", "key": "URL"}}
    found = outside(values)
    (authentication,) = found.all("TriggerAuthentication")
    assert authentication["spec"]["secretTargetRef"] == [{"parameter": "host", "name": "of-keda", "key": "URL"}]
    (trigger,) = found.one("ScaledObject", "export-worker")["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    (operators,) = outside(scaled("export-worker", "queue")).all("TriggerAuthentication")
    assert operators["spec"]["secretTargetRef"][0]["name"] == "of-operator"


def test_memory_follows_the_slots() -> None:
    found = outside({"services": {"export-worker": {"slots": 4}, "upload-worker": {"slots": 4, "memory": "3Gi"}}})
    wanted = {"export-worker": "1400Mi", "teams-worker": "800Mi", "upload-worker": "3Gi"}
    for worker, memory in wanted.items():
        (container,) = found.one("Deployment", worker)["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["memory"] == memory


def test_of_several_pods_one_at_a_time_may_be_evicted() -> None:
    for each in outside().all("PodDisruptionBudget"):
        assert each["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in each["spec"]
    assert len(outside().all("PodDisruptionBudget")) == len(SERVICES)


def test_nothing_holds_a_node_back_that_has_the_only_pod_of_a_service() -> None:
    assert not demo().all("PodDisruptionBudget")
    one = outside(scaled("monitor", "cpu", min=1))
    assert f"{NAME}-monitor" not in [each["metadata"]["name"] for each in one.all("PodDisruptionBudget")]
    many = outside({"services": {"monitor": {"replicas": 1, "autoscaling": {"by": "cpu", "min": 2}}}})
    assert many.one("PodDisruptionBudget", "monitor")


def test_production_scales_workers_by_their_queues_and_the_gateway_by_its_cpu() -> None:
    found = render("production")
    assert found.one("HorizontalPodAutoscaler", "gateway")
    assert found.one("ScaledObject", "export-worker")
