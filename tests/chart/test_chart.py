"""What the chart renders: the operator's Deployment, its rights, the definition; and which values it refuses."""

import json
from typing import Any

import pytest
import yaml

from .rendering import CHART, ROOT, Helm, Manifest, Render

CRD = "messagingtopologies.messagingtopology.dev"
GENERATED = ROOT / "crds" / f"{CRD}.yaml"

# Every right of the operator in a namespace. Whoever adds one says here what it is for.
RIGHTS = {
    ("messagingtopology.dev", "messagingtopologies"): {"get", "list", "watch"},  # what to reconcile
    ("messagingtopology.dev", "messagingtopologies/status"): {"patch"},  # what came of it
    ("apps", "deployments"): {"get", "list", "watch", "create", "patch", "delete"},  # processors
    ("", "configmaps"): {"get", "list", "create", "patch", "delete"},  # their configuration
    ("", "services"): {"get", "list", "create", "patch", "delete"},  # in front of gateway and be-messaging
    ("", "pods"): {"list"},  # whose /readyz to ask
    ("", "events"): {"create"},
}
KOPF = {("apiextensions.k8s.io", "customresourcedefinitions"): {"list", "watch"}}
KOPF_IN_NAMESPACES = KOPF | {("", "namespaces"): {"list", "watch"}}


def rights(role: Manifest) -> dict[tuple[str, str], set[str]]:
    granted: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    return granted


def environment(container: Manifest) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_lint_finds_nothing(run_helm: Helm) -> None:
    done = run_helm("lint", "--strict", "--kube-version=1.37", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_operator_runs_at_a_time(render: Render) -> None:
    spec = render().one("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_pod_fits_the_restricted_pod_security_standard_with_a_read_only_root(render: Render) -> None:
    rendered = render()
    assert rendered.pod()["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert rendered.container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_images_default_to_the_release_of_the_chart(render: Render) -> None:
    container = render().container()
    assert container["image"] == "messaging-operator:0.1.0"
    assert json.loads(environment(container)["MESSAGING_PROCESSOR_IMAGES"]) == {
        "gateway": "messaging-gateway:0.1.0",
        "billing": "messaging-billing:0.1.0",
        "sink": "messaging-sink:0.1.0",
    }


def test_the_operator_is_told_which_images_to_run_and_how_often_to_look(render: Render) -> None:
    images = {kind: f"registry.example:5000/m/{kind}@sha256:{'a' * 64}" for kind in ("gateway", "billing", "sink")}
    container = render(processorImages=images, resyncSeconds=30, image={"pullPolicy": "Always"}).container()
    told = environment(container)
    assert json.loads(told.pop("MESSAGING_PROCESSOR_IMAGES")) == images
    assert told == {"IMAGE_PULL_POLICY": "Always", "RESYNC_SECONDS": "30"}
    assert container["imagePullPolicy"] == "Always"


def test_a_digest_wins_over_a_tag(render: Render) -> None:
    digest = f"sha256:{'0' * 64}"
    image = {"repository": "registry.example/operator", "tag": "1.2", "digest": digest}
    assert render(image=image).container()["image"] == f"registry.example/operator@{digest}"


def test_all_namespaces_are_served_by_default_and_the_operator_may_do_what_it_does(render: Render) -> None:
    rendered = render()
    assert rendered.container()["args"] == ["--all-namespaces"]
    assert rights(rendered.one("ClusterRole")) == RIGHTS | KOPF
    assert rendered.all("Role") == []


def test_with_a_list_the_operator_may_touch_only_those_namespaces(render: Render) -> None:
    rendered = render(watchNamespaces=["billing", "marketing"])
    assert rendered.container()["args"] == ["--namespace=billing", "--namespace=marketing"]
    assert rights(rendered.one("ClusterRole")) == KOPF_IN_NAMESPACES
    roles = {role["metadata"]["namespace"]: rights(role) for role in rendered.all("Role")}
    assert roles == {"billing": RIGHTS, "marketing": RIGHTS}


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["billing"]}, {"serviceAccount": {"name": "ours"}}])
def test_every_role_is_bound_to_the_account_that_the_pod_runs_as(render: Render, values: dict[str, Any]) -> None:
    rendered = render(**values)
    account = rendered.one("ServiceAccount")["metadata"]
    assert rendered.pod()["spec"]["serviceAccountName"] == account["name"]
    for kind in ("Role", "ClusterRole"):
        bindings = rendered.all(f"{kind}Binding")
        bound = {(item["metadata"].get("namespace"), item["roleRef"]["name"]) for item in bindings}
        assert bound == {(item["metadata"].get("namespace"), item["metadata"]["name"]) for item in rendered.all(kind)}
        assert all(item["roleRef"]["kind"] == kind for item in bindings)
        subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": "platform"}
        assert all(item["subjects"] == [subject] for item in bindings)


def test_rights_and_account_can_come_from_elsewhere(render: Render) -> None:
    rendered = render(rbac={"create": False}, serviceAccount={"create": False, "name": "given"})
    kinds = {item["kind"] for item in rendered.objects}
    assert kinds == {"CustomResourceDefinition", "Deployment", "Service"}
    assert rendered.pod()["spec"]["serviceAccountName"] == "given"


def test_the_chart_carries_the_generated_definition() -> None:
    assert (CHART / "files" / GENERATED.name).read_text() == GENERATED.read_text(), "run make crds"


def test_uninstalling_leaves_the_definition_and_so_every_topology(render: Render) -> None:
    expected = yaml.safe_load(GENERATED.read_text())
    expected["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    assert render().one("CustomResourceDefinition") == expected


def test_the_definition_can_go_with_the_release_or_stay_out_of_it(render: Render) -> None:
    going = render(crds={"keep": False}).one("CustomResourceDefinition")
    assert going == yaml.safe_load(GENERATED.read_text())
    assert render(crds={"enabled": False}).all("CustomResourceDefinition") == []


def test_the_service_reaches_the_metrics_port_of_the_pod(render: Render) -> None:
    rendered = render()
    service, labels = rendered.one("Service")["spec"], rendered.pod()["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert rendered.one("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in rendered.container()["ports"]}
    assert [(port["port"], ports[port["targetPort"]]) for port in service["ports"]] == [(9090, 9090)]


def test_the_probes_ask_the_port_that_the_image_serves_liveness_on(render: Render) -> None:
    container = render().container()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = [container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")]
    served = f"http://0.0.0.0:{ports['health']}/healthz"
    assert {(f"http://0.0.0.0:{ports[get['port']]}{get['path']}") for get in asked} == {served}
    assert f'"{served}"' in (ROOT / "images/operator/Dockerfile").read_text()


def test_where_and_how_the_pod_runs_is_the_platforms_choice(render: Render) -> None:
    tolerations = [{"key": "dedicated", "operator": "Exists"}]
    affinity: Manifest = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    resources = {"requests": {"cpu": "1"}}
    rendered = render(
        imagePullSecrets=[{"name": "registry"}],
        nodeSelector={"disk": "ssd"},
        tolerations=tolerations,
        affinity=affinity,
        podAnnotations={"team": "messaging"},
        resources=resources,
        extraEnv=[{"name": "TZ", "value": "UTC"}],
    )
    pod, container = rendered.pod()["spec"], rendered.container()
    assert (pod["imagePullSecrets"], pod["nodeSelector"]) == ([{"name": "registry"}], {"disk": "ssd"})
    assert (pod["tolerations"], pod["affinity"]) == (tolerations, affinity)
    assert rendered.pod()["metadata"]["annotations"]["team"] == "messaging"
    assert container["resources"]["requests"]["cpu"] == "1"
    assert environment(container)["TZ"] == "UTC"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"processorImage": {}}, "processorImage"),
        ({"processorImages": {"sinks": "x"}}, "sinks"),
        ({"processorImages": {"sink": 1}}, "sink"),
        ({"image": {"repository": ""}}, "repository"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"image": {"tag": 1.2}}, "tag"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"watchNamespaces": "billing"}, "watchNamespaces"),
        ({"watchNamespaces": ["Billing"]}, "watchNamespaces"),
        ({"resyncSeconds": 0}, "resyncSeconds"),
        ({"resyncSeconds": "10s"}, "resyncSeconds"),
        ({"crds": {"keep": "no"}}, "keep"),
        ({"alerts": {"enabled": "yes"}}, "enabled"),
        ({"alerts": {"labels": {"release": 1}}}, "release"),
        ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
        ({"nodeSelector": {"gpu": True}}, "gpu"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(template: Helm, values: dict[str, Any], named: str) -> None:
    done = template(**values)
    assert done.returncode != 0
    assert named in done.stderr
