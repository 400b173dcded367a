"""NetworkPolicies as Kubernetes reads them: who may call whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chart.rendering import COMPONENT, NAMESPACE, Object, Rendered, containers


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A pod, or with an ``address`` something outside the cluster."""

    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = NAMESPACE
    address: str = ""


STRANGER = Peer(namespace="elsewhere")
INTERNET = Peer(address="203.0.113.7")


def pods(found: Rendered) -> dict[str, Peer]:
    """The release's pods by the part of it that they are."""
    return {
        labels[COMPONENT]: Peer(labels=tuple(labels.items()))
        for _, pod in found.pods()
        for labels in [pod["metadata"]["labels"]]
    }


def ports(found: Rendered) -> dict[tuple[str, str], int]:
    """Where pods listen, by part and by the port's name."""
    return {
        (pod["metadata"]["labels"][COMPONENT], port["name"]): port["containerPort"]
        for _, pod in found.pods()
        for container in containers(pod)
        for port in container.get("ports", [])
    }


def allowed(found: Rendered, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection comes about: the source may leave, and the target may be reached."""
    out = _passes(found.all("NetworkPolicy"), "Egress", source, target, port, protocol)
    return out and let_in(found, source, target, port, protocol)


def let_in(found: Rendered, source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether the target's side of it allows it, whatever the source's does."""
    return _passes(found.all("NetworkPolicy"), "Ingress", target, source, port, protocol)


def _passes(policies: list[Object], direction: str, whose: Peer, other: Peer, port: int, protocol: str) -> bool:
    if whose.address or whose.namespace != NAMESPACE:
        return True
    about = [
        each["spec"]
        for each in policies
        if direction in each["spec"]["policyTypes"] and _selects(each["spec"]["podSelector"], whose)
    ]
    key, side = ("from", "ingress") if direction == "Ingress" else ("to", "egress")
    return not about or any(
        _named(rule.get("ports"), port, protocol) and _among(rule.get(key), other)
        for spec in about
        for rule in spec.get(side, [])
    )


def _named(wanted: list[dict[str, Any]] | None, port: int, protocol: str) -> bool:
    return not wanted or {"port": port, "protocol": protocol} in wanted


def _among(peers: list[dict[str, Any]] | None, other: Peer) -> bool:
    return not peers or any(_is(peer, other) for peer in peers)


def _is(peer: dict[str, Any], other: Peer) -> bool:
    if "ipBlock" in peer:
        return bool(other.address)
    if other.address:
        return False
    if "namespaceSelector" in peer:
        # A namespace's labels are its operator's; here an empty selector, which takes all, is what is asked about.
        return peer["namespaceSelector"] == {} and "podSelector" not in peer
    return other.namespace == NAMESPACE and _selects(peer["podSelector"], other)


def _selects(selector: dict[str, Any], peer: Peer) -> bool:
    labels = dict(peer.labels)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])
    )


def pairs(found: Rendered) -> Iterator[tuple[str, str, str, bool]]:
    """Every part of the release, every port of every other, and whether the one may call the other there."""
    everybody, where = pods(found), ports(found)
    for source in everybody:
        for (target, name), port in where.items():
            if target != source:
                yield source, target, name, allowed(found, everybody[source], everybody[target], port)
