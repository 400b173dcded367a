"""What is rendered is what a cluster takes, whatever the values."""

import json

import kubernetes_validate
import pytest
import yaml

from chart.rendering import (
    CHART,
    NAME,
    OUTSIDE,
    SERVICES,
    WORKERS,
    Rendered,
    Values,
    containers,
    outside,
    over,
    render,
    run_helm,
)

SCALED = {"services": {"gateway": {"autoscaling": {"by": "cpu"}}, "export-worker": {"autoscaling": {"by": "queue"}}}}
FULL: Values = {
    **SCALED,
    "otlpEndpoint": "http://collector:4318",
    "storageUrl": "file:///files",
    "storageClaim": "files",
    "image": {"pullSecrets": ["registry"]},
    "podAnnotations": {"a": "b"},
    "serviceAccountAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "jobs", "operator": "Exists"}],
    "accounts": {"manage": True},
    "toolbox": {"enabled": True},
    "jaeger": {"enabled": True},
    "monitoring": {"enabled": True},
    "service": {"annotations": {"a": "b"}},
    "ingress": {"enabled": True, "hosts": ["a.example.org"], "className": "nginx", "tlsSecret": "tls"},
    "networkPolicy": {
        "gatewayFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "servers": {"mongodb": {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}},
    },
}
WAYS: dict[str, tuple[tuple[str, ...], Values]] = {
    "least": ((), OUTSIDE),
    "demo": (("demo",), {"jaeger": {"enabled": True}, "monitoring": {"enabled": True}}),
    "production": (("production",), {}),
    "everything": ((), over(OUTSIDE, FULL)),
}
# Objects of operators that a cluster may have; Kubernetes' schemas do not know them.
CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule"}


@pytest.mark.parametrize("kubernetes", ["1.25", "1.33"])
@pytest.mark.parametrize("way", WAYS)
def test_every_object_is_what_kubernetes_schema_says(way: str, kubernetes: str) -> None:
    files, values = WAYS[way]
    wrong: dict[str, str] = {}
    for each in render(*files, values=values, kubernetes=kubernetes).objects:
        if each["kind"] in CUSTOM:
            continue
        try:
            kubernetes_validate.validate(each, kubernetes, strict=True)
        except kubernetes_validate.ValidationError as error:
            wrong[f"{each['kind']} {each['metadata']['name']}"] = f"{list(error.path)}: {error.message}"
    assert wrong == {}


@pytest.mark.parametrize(("way", "oldest"), [("demo", 20), ("least", 21), ("production", 23), ("everything", 23)])
def test_the_readme_names_the_oldest_kubernetes_that_knows_the_objects(way: str, oldest: int) -> None:
    files, values = WAYS[way]
    since = {"policy/v1": 21, "autoscaling/v2": 23}
    assert max(since.get(each["apiVersion"], 20) for each in render(*files, values=values).objects) == oldest
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    assert "Kubernetes 1.21 or newer, and 1.23 for an HPA (the demo" in readme
    assert "runs on 1.20" in readme


@pytest.mark.parametrize("way", WAYS)
def test_helm_has_nothing_to_say_against_it(way: str) -> None:
    files, values = WAYS[way]
    chosen = [word for name in files for word in ("--values", str(CHART / f"values-{name}.yaml"))]
    said = run_helm("lint", "--strict", str(CHART), *chosen, "--values", "-", given=_json(values))
    assert "WARNING" not in said


@pytest.mark.parametrize("way", WAYS)
def test_no_two_objects_have_one_name(way: str) -> None:
    files, values = WAYS[way]
    names = [(each["kind"], each["metadata"]["name"]) for each in render(*files, values=values).objects]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("way", WAYS)
def test_every_selector_finds_the_pods_it_is_meant_for_and_no_others(way: str) -> None:
    files, values = WAYS[way]
    found = render(*files, values=values)
    for each in [*found.all("Deployment"), *found.all("StatefulSet")]:
        labels = each["spec"]["template"]["metadata"]["labels"]
        selected = each["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert selected, each["metadata"]["name"]
    for each in [*found.all("Service"), *found.all("PodDisruptionBudget")]:
        selector = each["spec"]["selector"]
        assert _owners(found, selector.get("matchLabels", selector)) == [each["metadata"]["name"]]


def test_an_older_kubernetes_is_not_given_what_it_does_not_know() -> None:
    (old, *_), (new, *_) = (outside(kubernetes=version).all("PodDisruptionBudget") for version in ("1.25", "1.33"))
    assert "unhealthyPodEvictionPolicy" not in old["spec"]
    assert new["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_release_that_is_named_for_the_chart_does_not_say_so_twice() -> None:
    text = run_helm("template", "my-collect-jobs", str(CHART), "--values", "-", given=_json(OUTSIDE))
    assert "name: my-collect-jobs-gateway" in text


def test_long_names_are_cut_to_what_kubernetes_takes() -> None:
    demo_values = str(CHART / "values-demo.yaml")
    text = run_helm("template", "r" * 53, str(CHART), "--values", demo_values)
    objects = [each for each in yaml.safe_load_all(text) if each]
    assert all(len(each["metadata"]["name"]) <= 63 for each in objects)
    # A label of its pods is the name with a hash behind it.
    assert all(len(each["metadata"]["name"]) <= 52 for each in objects if each["kind"] == "StatefulSet")


def test_the_notes_say_how_to_go_on() -> None:
    demo_values = str(CHART / "values-demo.yaml")
    said = run_helm("install", "trial", str(CHART), "--values", demo_values, "--dry-run=client")
    notes = said[said.index("NOTES:") :]
    for wanted in (
        "port-forward service/trial-collect-jobs-gateway 8080:80",
        "collect-admin seed demo --env",
        "helm test",
        "helm upgrade --timeout 600s",
    ):
        assert wanted in notes
    assert f"scale deployment/{NAME}-export-worker --replicas=4" in notes


def test_images_are_those_of_registry_and_tag() -> None:
    found = outside({"image": {"registry": "registry.example.org/jobs", "tag": "1.2.3", "pullPolicy": "Always"}})
    for name in SERVICES:
        (container,) = found.one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"registry.example.org/jobs/{name}:1.2.3"
        assert container["imagePullPolicy"] == "Always"


def test_an_image_with_a_digest_is_that_one_whatever_the_tag_says() -> None:
    digest = f"sha256:{'0a' * 32}"
    found = outside({"image": {"tag": "1.2.3", "digests": {"monitor": digest, "gateway": digest}}})
    for whose, pod in found.pods():
        for container in containers(pod):
            image = container["image"].removeprefix("collect-jobs/")
            # The operator's commands are in the monitor's image.
            pinned = [f"{name}@{digest}" for name in ("gateway", "monitor")]
            assert image in [*pinned, *(f"{name}:1.2.3" for name in WORKERS)], whose


@pytest.mark.parametrize(
    ("tag", "label"), [("1.2.3-", "1.2.3"), ("_x.", "x"), ("v" * 62 + ".9", "v" * 62), ("_", ""), ("7", "7")]
)
def test_whatever_the_tag_the_label_is_one_that_kubernetes_takes(tag: str, label: str) -> None:
    found = outside({"image": {"tag": tag}})
    assert {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in found.objects} == {label}


def _owners(found: Rendered, selector: dict[str, str]) -> list[str]:
    return [
        each["metadata"]["name"]
        for each in [*found.all("Deployment"), *found.all("StatefulSet")]
        if selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
    ]


def _json(values: Values) -> str:
    return json.dumps(values)
