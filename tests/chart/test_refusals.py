"""Values that are wrong are refused before anything is installed, by the name of the field."""

from typing import Any

import pytest

from chart.rendering import SERVICES, Refused, Values, demo, outside, render

WRONG: dict[str, tuple[Values, str]] = {
    "an unknown field": ({"replicas": 3}, "'replicas'"),
    "an unknown field of a service": ({"services": {"gateway": {"replica": 3}}}, "/services/gateway"),
    "a service that is misspelt": ({"services": {"gatewy": {"replicas": 3}}}, "/services/gatewy"),
    "a number that is none": ({"services": {"gateway": {"replicas": "two"}}}, "/services/gateway/replicas"),
    "fewer pods than none": ({"services": {"monitor": {"replicas": -1}}}, "/services/monitor/replicas"),
    "no slot": ({"services": {"export-worker": {"slots": 0}}}, "/services/export-worker/slots"),
    "memory without a unit": ({"services": {"gateway": {"memory": "512"}}}, "/services/gateway/memory"),
    "processor time in words": ({"services": {"gateway": {"cpu": "lots"}}}, "/services/gateway/cpu"),
    "less processor time than none": ({"services": {"gateway": {"cpu": -1}}}, "/services/gateway/cpu"),
    "a name that no object may have": ({"fullnameOverride": "My_Jobs"}, "/fullnameOverride"),
    "a name that no object may end with": ({"nameOverride": "jobs-"}, "/nameOverride"),
    "a port, which is the image's": ({"services": {"monitor": {"port": 9090}}}, "'port'"),
    "servers, which are the code's": ({"services": {"monitor": {"servers": ["mongodb"]}}}, "'servers'"),
    **{
        f"{name}, which is the image's": ({"settings": {name: "1"}}, f"'{name}'")
        for name in (
            *("COLLECT_BIND", "COLLECT_METRICS_PORT", "MONITOR_HOST", "MONITOR_PORT"),
            *("COLLECT_IMAGE", "COLLECT_FAULT_POINTS"),
        )
    },
    "a store that there is not": ({"storageUrl": "ftp://files"}, "/storageUrl"),
    "a collector without a scheme": ({"otlpEndpoint": "collector:4318"}, "/otlpEndpoint"),
    "a tag with a folder": ({"image": {"tag": "a/b"}}, "/image/tag"),
    "a digest that is none": ({"image": {"digests": {"gateway": "sha256:abc"}}}, "/image/digests/gateway"),
    "a digest of a service that there is not": (
        {"image": {"digests": {"gatewy": f"sha256:{'0' * 64}"}}},
        "image.digests.gatewy",
    ),
    "files in what every pod has for itself": ({"storageUrl": "file:///tmp", "storageClaim": "files"}, "/storageUrl"),
    "the same with a slash": ({"storageUrl": "file:///tmp/", "storageClaim": "files"}, "/storageUrl"),
    "an unknown pull policy": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    "a setting that is no name": ({"settings": {"log-level": "INFO"}}, "/settings"),
    "a setting that is a map": ({"settings": {"LOG_LEVEL": {"a": "b"}}}, "/settings/LOG_LEVEL"),
    "a setting that is misspelt": ({"settings": {"COLLECT_LEASE_SECOND": 45}}, "COLLECT_LEASE_SECOND"),
    "a setting of a service that is misspelt": (
        {"services": {"monitor": {"settings": {"COLLECT_MAX_EXPIRED_LEASE": 1}}}},
        "/services/monitor/settings",
    ),
    "a database's name that is misspelt": ({"settings": {"MONGODB_DATABSE": "jobs"}}, "MONGODB_DATABSE"),
    "a level that is misspelt": ({"settings": {"LOG_LEVEL": "verbose"}}, "/settings/LOG_LEVEL"),
    "a secret among the settings": ({"settings": {"MONGODB_URL": "mongodb://…"}}, "MONGODB_URL"),
    "a secret among a service's settings": (
        {"services": {"gateway": {"settings": {"REDIS_URL": "redis://…"}}}},
        "REDIS_URL",
    ),
    "a secret of an object store among the settings": (
        {"settings": {"AZURE_STORAGE_ACCOUNT_KEY": "…"}},
        "AZURE_STORAGE_ACCOUNT_KEY",
    ),
    "a collector's secret among the settings": (
        {"settings": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=…"}},
        "OTEL_EXPORTER_OTLP_HEADERS",
    ),
    "a collector's address with a password": ({"otlpEndpoint": "https://me:…@collector:4318"}, "/otlpEndpoint"),
    "two autoscalers for one service": (
        {"services": {"gateway": {"autoscaling": {"by": ["cpu", "queue"]}}}},
        "/services/gateway/autoscaling/by",
    ),
    "an autoscaler by a queue for what has none": (
        {"services": {"gateway": {"autoscaling": {"by": "queue"}}}},
        "services.gateway.autoscaling.by",
    ),
    "fewer pods at most than at least": (
        {"services": {"monitor": {"autoscaling": {"min": 4, "max": 3}}}},
        "services.monitor.autoscaling.max",
    ),
    "a migration that has no time to wait": ({"migration": {"seconds": 30}}, "/migration/seconds"),
    "a grace shorter than the drain": ({"terminationGracePeriodSeconds": 10}, "/terminationGracePeriodSeconds"),
    "a grace that the wait before it eats up": (
        {"services": {"gateway": {"preStopSeconds": 20}}},
        "terminationGracePeriodSeconds: gateway",
    ),
    "a folder that no pod has": ({"storageUrl": "file:///files"}, "storageClaim"),
    "a claim for what is no folder": ({"storageClaim": "files"}, "storageUrl"),
    "an Ingress without a host": ({"ingress": {"enabled": True}}, "ingress.hosts"),
    "an account that is root": ({"demo": {"redis": {"uid": 0}}}, "/demo/redis/uid"),
    "accounts without a migration": (
        {"accounts": {"manage": True}, "migration": {"enabled": False}},
        "migration.enabled",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_it_is_refused_by_the_fields_name(what: str) -> None:
    values, name = WRONG[what]
    with pytest.raises(Refused) as refusal:
        outside(values)
    assert name in str(refusal.value)


def test_all_secrets_that_are_missing_are_said_at_once() -> None:
    with pytest.raises(Refused) as refusal:
        render()
    for field in [*(f"services.{name}" for name in SERVICES), "operator"]:
        assert f"{field}.existingSecret" in str(refusal.value)
    assert "MONGODB_URL, AMQP_URL and REDIS_URL" in str(refusal.value)


def test_the_demo_is_refused_without_the_accounts_that_its_servers_need() -> None:
    with pytest.raises(Refused, match=r"accounts\.manage"):
        demo({"accounts": {"manage": False}})


def test_the_demo_is_refused_with_an_autoscaler_that_its_broker_does_not_let_in() -> None:
    values = {"services": {"export-worker": {"autoscaling": {"by": "queue"}}}}
    with pytest.raises(Refused, match=r"services\.export-worker\.autoscaling\.by: KEDA"):
        demo(values)


def test_a_kind_more_is_an_entry_more() -> None:
    entry: dict[str, Any] = {
        "replicas": 1,
        "existingSecret": "of-sms",
        "settings": {},
        "slots": 2,
        "queue": "jobs.sms",
        "cpu": "100m",
        "scratch": "64Mi",
        "autoscaling": {"by": "none", "min": 1, "max": 2, "cpuPercent": 70},
    }
    found = outside({"services": {"sms-worker": entry}})
    for kind in ("Deployment", "ConfigMap", "Service", "ServiceAccount", "NetworkPolicy"):
        assert found.one(kind, "sms-worker")
