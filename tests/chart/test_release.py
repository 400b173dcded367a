"""What comes with a release beside its services: migration, toolbox, the demo's servers, their Secrets."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from chart.rendering import (
    CHART,
    COMPONENT,
    NAME,
    RELEASE,
    ROOT,
    SERVICES,
    Object,
    Rendered,
    containers,
    demo,
    outside,
    render,
)

HELM_TIMEOUT_SECONDS = 300


def migration(found: Rendered) -> Object:
    return found.one("Job", "migrate")


def hooks(job: Object) -> str | None:
    annotations: dict[str, str] = job["metadata"].get("annotations", {})
    return annotations.get("helm.sh/hook")


def test_the_migration_comes_before_the_services_where_the_servers_are_there_already() -> None:
    job = migration(outside())
    assert hooks(job) == "pre-install,pre-upgrade"
    assert job["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"


def test_it_comes_beside_them_where_the_release_itself_brings_the_servers() -> None:
    assert hooks(migration(demo())) is None
    assert hooks(migration(render("demo", upgrade=True))) == "pre-install,pre-upgrade"


def test_a_hook_before_the_release_needs_nothing_that_the_release_makes() -> None:
    spec = migration(outside({"accounts": {"manage": True}}))["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    named = {each["secretRef"]["name"] for container in containers({"spec": spec}) for each in container["envFrom"]}
    mounted = {volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
    assert named == {"of-operator"}
    assert mounted == {f"of-{name}" for name in SERVICES}
    assert all("configMapRef" not in each for container in containers({"spec": spec}) for each in container["envFrom"])


def test_the_migration_waits_for_the_servers_itself_and_says_what_was_wrong_before_it_is_ended() -> None:
    for seconds in (60, 900):
        job = migration(outside({"migration": {"seconds": seconds}, "accounts": {"manage": True}}))
        assert job["spec"]["activeDeadlineSeconds"] == seconds
        assert job["spec"]["backoffLimit"] <= 2
        for container in containers(job["spec"]["template"]):
            *_, option, wait = container["command"]
            assert option == "--wait"
            assert 0 < int(wait) <= seconds - 10


def test_the_migration_is_over_before_helm_gives_up() -> None:
    assert migration(outside())["spec"]["activeDeadlineSeconds"] < HELM_TIMEOUT_SECONDS
    assert migration(render("production"))["spec"]["activeDeadlineSeconds"] < HELM_TIMEOUT_SECONDS
    # The demo's is installed with a longer timeout, which the README names.
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    (minutes,) = re.findall(r"values-demo\.yaml .*--timeout (\d+)m$", readme.replace("\\\n", ""), re.MULTILINE)
    assert migration(demo())["spec"]["activeDeadlineSeconds"] < int(minutes) * 60


@pytest.mark.parametrize("text", [CHART / "README.md", ROOT / "README.md"], ids=["chart", "project"])
def test_who_tries_it_is_told_to_name_the_images_that_were_built(text: Path) -> None:
    lines = text.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    (install,) = [line for line in lines if line.startswith("helm install") and "values-demo.yaml" in line]
    (build,) = [line for line in lines if line.startswith("make images")]
    registry, version = re.findall(r"(?:REGISTRY|VERSION)=(\S+)", build)
    assert f"--set image.registry={registry} --set image.tag={version}" in install
    pushed = [line for line in lines if "docker push" in line]
    assert all(
        f"{registry}/$service:{version}" in line and set(SERVICES) <= set(line.split(";")[0].split()) for line in pushed
    )


def test_what_failed_stays_with_its_log_and_not_for_ever() -> None:
    job = migration(outside())
    assert "hook-failed" not in job["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert "hook-failed" in job["metadata"]["annotations"]["helm.sh/hook-output-log-policy"]
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert job["spec"]["ttlSecondsAfterFinished"] == 24 * 3600
    (pod,) = outside().all("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert pod["metadata"]["annotations"]["helm.sh/hook-output-log-policy"] == "hook-succeeded,hook-failed"


def test_what_helm_leaves_is_removed_by_the_labels_that_the_readme_names_and_nothing_else_is() -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    (selector,) = re.findall(r"kubectl delete job,pod --selector '(.*)'$", readme, re.MULTILINE)
    (names,) = re.findall(r"^app\.kubernetes\.io/instance=demo,app\.kubernetes\.io/component in \((.*)\)$", selector)
    for found in (demo({"jaeger": {"enabled": True}}), outside({"toolbox": {"enabled": True}})):
        pods = [(whose, pod["metadata"]["labels"]) for whose, pod in found.pods()]
        assert len(pods) > len(SERVICES)
        assert {labels["app.kubernetes.io/instance"] for _, labels in pods} == {RELEASE}
        picked = [whose for whose, labels in pods if labels[COMPONENT] in names.split(",")]
        assert sorted(picked) == [f"Job {NAME}-migrate", f"Pod {NAME}-selftest"]
        assert migration(found)["metadata"]["labels"][COMPONENT] in names.split(",")


def test_accounts_are_made_before_anything_that_needs_them_and_only_where_that_is_wanted() -> None:
    (accounts,) = migration(demo())["spec"]["template"]["spec"]["initContainers"]
    assert accounts["command"][:3] == ["collect-admin", "accounts", "/accounts"]
    folders = {mount["mountPath"] for mount in accounts["volumeMounts"]} - {"/tmp"}
    assert folders == {f"/accounts/{name}" for name in SERVICES}
    assert "initContainers" not in migration(outside())["spec"]["template"]["spec"]
    assert not outside({"migration": {"enabled": False}}).all("Job")


def test_a_service_reads_its_own_secret_and_no_other() -> None:
    for found, secret in ((outside(), "of-{}"), (demo(), f"{NAME}-{{}}")):
        for name in SERVICES:
            (container,) = found.one("Deployment", name)["spec"]["template"]["spec"]["containers"]
            read = [next(iter(each.values()))["name"] for each in container["envFrom"]]
            assert read == [f"{NAME}-{name}", secret.format(name)]
            assert "env" not in container


def test_outside_the_demo_the_chart_makes_no_secret() -> None:
    assert not outside().all("Secret")
    assert not render("production").all("Secret")


def test_every_service_of_the_demo_has_an_account_of_its_own_on_every_server() -> None:
    found = demo()
    logins = []
    for name in (*SERVICES, "operator"):
        data = found.one("Secret", name)["stringData"]
        for setting in ("MONGODB_URL", "AMQP_URL"):
            url = urlsplit(data[setting])
            assert url.username == name
            assert len(url.password or "") >= 32
        logins.append(urlsplit(data["MONGODB_URL"]).password)
    assert len(set(logins)) == len(logins)


def test_urls_of_the_demo_lead_to_its_services() -> None:
    found = demo()
    for name in (*SERVICES, "operator"):
        for url in (urlsplit(url) for url in found.one("Secret", name)["stringData"].values()):
            (service,) = [each for each in found.all("Service") if each["metadata"]["name"] == url.hostname]
            assert url.port in [port["port"] for port in service["spec"]["ports"]]


def test_a_server_of_the_demo_knows_the_password_that_the_secret_names() -> None:
    found = demo()
    operator = urlsplit(found.one("Secret", "operator")["stringData"]["AMQP_URL"]).password
    assert f"default_pass = {operator}\n" in found.one("Secret", "rabbitmq")["stringData"]["rabbitmq.conf"]
    assert urlsplit(found.one("Secret", "mongodb")["stringData"]["MONGODB_URL"]).password == operator


def test_redis_lets_the_gateway_count_and_nothing_else() -> None:
    lines = demo().one("Secret", "redis")["stringData"]["users.acl"].splitlines()
    assert lines[0] == "user default off"
    (gateway,) = lines[1:]
    assert gateway.startswith("user gateway on #")
    said = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (documented,) = re.findall(r"^user gateway on >PASSWORD (.*)$", said, re.MULTILINE)
    assert gateway.endswith(documented)


def test_every_password_is_kept_over_upgrades() -> None:
    kept = set(demo().one("Secret", "passwords")["stringData"].values())
    used = {
        urlsplit(url).password
        for name in (*SERVICES, "operator")
        for url in demo().one("Secret", name)["stringData"].values()
    }
    assert used <= kept


def test_volumes_of_the_demo_go_with_the_release() -> None:
    found = demo()
    claims = {each["metadata"]["name"] for each in found.all("PersistentVolumeClaim")}
    assert claims == {f"{NAME}-mongodb", f"{NAME}-rabbitmq"}
    for each in found.all("StatefulSet"):
        assert "volumeClaimTemplates" not in each["spec"]
    for each in found.objects:
        assert "helm.sh/resource-policy" not in each["metadata"].get("annotations", {})


def test_command_image_and_user_of_a_server_can_be_others() -> None:
    other = {"image": "other/rabbitmq:1", "command": ["/usr/lib/rabbitmq/bin/rabbitmq-server"], "uid": 101}
    spec = demo({"demo": {"rabbitmq": other}}).one("StatefulSet", "rabbitmq")["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsUser"] == 101
    assert spec["containers"][0]["image"] == other["image"]
    assert spec["containers"][0]["command"] == other["command"]


def test_the_replica_set_is_made_from_beside_the_server() -> None:
    pod = demo().one("StatefulSet", "mongodb")["spec"]["template"]
    (beside,) = [each for each in containers(pod) if each["name"] == "replica-set"]
    assert beside["command"] == [
        "collect-admin",
        "replica-set",
        "--host",
        "127.0.0.1:27017",
        "--create-admin",
        "--stay",
    ]
    assert urlsplit(demo().one("Secret", "mongodb")["stringData"]["MONGODB_URL"]).hostname == "127.0.0.1"


def test_helm_test_plays_a_job_through_the_gateways_service() -> None:
    found = demo({"selftest": {"rows": 1_000_000}})
    (pod,) = found.all("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["collect-admin", "selftest", "--rows", "1000000"]
    assert {"name": "COLLECT_URL", "value": f"http://{NAME}-gateway:80"} in container["env"]


def test_the_toolbox_is_there_where_it_is_wanted_and_ends_when_it_is_told_to() -> None:
    names = [each["metadata"]["name"] for each in outside().all("Deployment")]
    assert f"{NAME}-toolbox" not in names
    assert f"{NAME}-toolbox" not in [each["metadata"]["name"] for each in render("production").all("Deployment")]
    (container,) = demo().one("Deployment", "toolbox")["spec"]["template"]["spec"]["containers"]
    assert "SIGTERM" in container["command"][-1]


def test_the_ingress_lets_in_the_api_and_not_what_is_for_operators() -> None:
    found = outside({"ingress": {"enabled": True, "hosts": ["a.example.org", "b.example.org"], "tlsSecret": "tls"}})
    (ingress,) = found.all("Ingress")
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["a.example.org", "b.example.org"]
    for rule in ingress["spec"]["rules"]:
        paths = [path["path"] for path in rule["http"]["paths"]]
        assert "/v1" in paths
        assert not any("/metrics".startswith(path) or "/readyz".startswith(path) for path in paths)
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend == {"name": f"{NAME}-gateway", "port": {"name": "http"}}
    assert not outside().all("Ingress")


@pytest.mark.parametrize("given", ["", "http://collector:4318"])
def test_traces_go_where_somebody_says_else_to_the_viewer(given: str) -> None:
    found = demo({"jaeger": {"enabled": True}, "otlpEndpoint": given})
    wanted = given or f"http://{NAME}-jaeger:4318"
    assert all(found.settings(name)["OTEL_EXPORTER_OTLP_ENDPOINT"] == wanted for name in SERVICES)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in demo().settings("gateway")


def test_a_folder_for_files_is_mounted_wherever_files_are_read_or_written() -> None:
    found = demo({"storageUrl": "file:///files", "storageClaim": "shared"})
    for name in (*SERVICES, "toolbox"):
        pod = found.one("Deployment", name)["spec"]["template"]
        assert {"name": "storage", "mountPath": "/files"} in pod["spec"]["containers"][0]["volumeMounts"]
        assert {"name": "storage", "persistentVolumeClaim": {"claimName": "shared"}} in pod["spec"]["volumes"]


def test_an_object_store_knows_by_their_accounts_all_who_touch_files() -> None:
    found = outside({"serviceAccountAnnotations": {"iam/role": "files"}, "toolbox": {"enabled": True}})
    known = {
        each["metadata"]["name"]
        for each in found.all("ServiceAccount")
        if each["metadata"].get("annotations") == {"iam/role": "files"}
    }
    assert known == {f"{NAME}-{name}" for name in (*SERVICES, "operator")}
    pods = {whose: pod["spec"] for whose, pod in found.pods() if not whose.startswith("Job ")}
    assert len(pods) == len(SERVICES) + 2
    assert {spec["serviceAccountName"] for spec in pods.values()} == known
    assert all("annotations" not in each["metadata"] for each in outside().all("ServiceAccount"))


def test_every_service_can_be_scraped() -> None:
    found = outside({"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}})
    (monitor,) = found.all("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"][0]["path"] == "/metrics"
    (among,) = monitor["spec"]["selector"]["matchExpressions"]
    assert sorted(among["values"]) == SERVICES
    for name in SERVICES:
        labels = found.one("Service", name)["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels[among["key"]] == name
