"""Who may speak with whom: every arrow of the architecture, and no other."""

import pytest

from chart.policies import INTERNET, STRANGER, allowed, let_in, pairs, pods, ports
from chart.rendering import SERVICES, Values, demo, outside
from chart.test_agreement import SETTINGS

OPERATORS = ("migrate", "toolbox", "selftest")
# What a setting that names a server leads to in the demo: the part of the release, and its port.
LEADS_TO = {"MONGODB_URL": ("mongodb", "mongodb"), "AMQP_URL": ("rabbitmq", "amqp"), "REDIS_URL": ("redis", "redis")}
TRACED: Values = {"jaeger": {"enabled": True}}


def arrows() -> set[tuple[str, str, str]]:
    """What the services' settings and the operators' commands make necessary."""
    of_services = {
        (service, *LEADS_TO[str(field.validation_alias)])
        for service in SERVICES
        for field in SETTINGS[service].model_fields.values()
        if field.validation_alias in LEADS_TO
    }
    of_operators = {
        (operator, *target)
        for operator in OPERATORS
        for target in [("mongodb", "mongodb"), ("rabbitmq", "amqp"), ("rabbitmq", "management")]
    }
    traces = {(source, "jaeger", "otlp") for source in (*SERVICES, *OPERATORS)}
    return of_services | of_operators | traces


def test_in_the_demo_every_arrow_is_open_and_every_other_is_shut() -> None:
    found = demo(TRACED)
    servers = {"mongodb", "rabbitmq", "redis", "jaeger"}
    open_ones = {(source, target, name) for source, target, name, may in pairs(found) if may and target in servers}
    # The viewer's console is reached by port-forward, and by nobody in the cluster.
    assert open_ones == arrows()


def test_a_server_of_the_demo_lets_in_those_alone_who_have_an_account_on_it() -> None:
    found = demo()
    everybody = pods(found)
    callers = {
        (source, target, name)
        for (target, name), port in ports(found).items()
        if target in {"mongodb", "rabbitmq", "redis"}
        for source in everybody
        if source != target and let_in(found, everybody[source], everybody[target], port)
    }
    assert callers == {arrow for arrow in arrows() if arrow[1] != "jaeger"}
    for (target, _), port in ports(found).items():
        if target in {"mongodb", "rabbitmq", "redis"}:
            assert not let_in(found, STRANGER, everybody[target], port)


def test_a_pod_that_no_other_policy_names_may_do_nothing() -> None:
    (all_pods,) = [each for each in demo().all("NetworkPolicy") if each["metadata"]["name"].endswith("default-deny")]
    assert set(all_pods["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert not {"ingress", "egress"} & set(all_pods["spec"])
    for labels in (dict(pod.labels) for pod in pods(demo()).values()):
        assert all_pods["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_gateway_is_reached_from_everywhere_unless_somebody_says_from_where() -> None:
    found = outside()
    gateway = pods(found)["gateway"]
    assert allowed(found, STRANGER, gateway, 8080)
    assert allowed(found, INTERNET, gateway, 8080)
    friends = [{"podSelector": {"matchLabels": {"a": "b"}}}]
    narrow = outside({"toolbox": {"enabled": True}, "networkPolicy": {"gatewayFrom": friends, "metricsFrom": friends}})
    assert not allowed(narrow, STRANGER, gateway, 8080)
    assert not allowed(narrow, INTERNET, gateway, 8080)
    for operator in ("toolbox", "selftest"):
        assert allowed(narrow, pods(narrow)[operator], gateway, 8080)


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "gateway"])
def test_of_the_other_services_only_metrics_are_read_and_only_from_within_the_cluster(service: str) -> None:
    found = outside()
    target = pods(found)[service]
    assert allowed(found, STRANGER, target, ports(found)[service, "http"])
    assert not allowed(found, INTERNET, target, ports(found)[service, "http"])
    assert not allowed(found, STRANGER, target, 22)


@pytest.mark.parametrize("part", [*SERVICES, "migrate", "selftest"])
def test_names_can_be_looked_up(part: str) -> None:
    found = outside()
    for protocol in ("UDP", "TCP"):
        assert allowed(found, pods(found)[part], STRANGER, 53, protocol)


@pytest.mark.parametrize("service", SERVICES)
def test_servers_outside_are_reached_where_the_values_say_they_are(service: str) -> None:
    anywhere = outside()
    assert allowed(anywhere, pods(anywhere)[service], INTERNET, 27017)
    inside = [{"podSelector": {"matchLabels": {"app": "mongodb"}}}]
    there = outside({"networkPolicy": {"servers": {"mongodb": {"to": inside, "ports": [27018]}}}})
    assert not allowed(there, pods(there)[service], INTERNET, 27018)
    assert not allowed(there, pods(there)[service], INTERNET, 27017)
    assert allowed(there, pods(there)[service], INTERNET, 5672)


def test_a_store_and_a_collector_are_reached_where_there_are_any() -> None:
    without = outside()
    assert not allowed(without, pods(without)["export-worker"], INTERNET, 443)
    assert not allowed(without, pods(without)["export-worker"], INTERNET, 4318)
    found = outside({"storageUrl": "s3://bucket/prefix", "otlpEndpoint": "http://collector:4318"})
    for part in (*SERVICES, "migrate"):
        assert allowed(found, pods(found)[part], INTERNET, 443)
        assert allowed(found, pods(found)[part], INTERNET, 4318)


def test_nothing_is_forbidden_where_nobody_wants_policies() -> None:
    assert not demo({"networkPolicy": {"enabled": False}, **TRACED}).all("NetworkPolicy")
