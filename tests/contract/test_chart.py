"""The Helm chart in all its shapes: what Kubernetes would refuse, and what callstream would.

`make chart` installs Helm and the schemas, and runs this.
"""

import json
import re
import tomllib

import pytest
import yaml

from app.settings import from_env, known_variables
from app.telemetry import metrics
from schemas.topics import Stage
from tests.support.chart import (
    CHART,
    NAMESPACE,
    NEEDS_HELM,
    ROOT,
    SHAPES,
    helm,
    named_ports,
    of_kind,
    places_of_secrets,
    pods,
    problems,
    rendered,
    selects,
    settings_of,
)
from tests.support.command_lines import parse_command_line
from tests.support.pin_images import DIGEST, TAGGED

pytestmark = NEEDS_HELM


_OLDEST, _IMAGE_VOLUMES, _NEWEST = "1.29.0", "1.31.0", "1.37.0"


_HERE = {
    "$(NODE_NAME)": "n1",
    "/host/usr/": "/usr/",
    "/image": "/usr",
    "/etc/callstream/acls": str(ROOT / "deploy" / "kafka"),
}


_SHAPES = pytest.mark.parametrize("shape", SHAPES)


@_SHAPES
def test_helm_finds_nothing_to_say(shape: str) -> None:
    """`helm lint --strict` passes, and the notes that a user reads after an install can be written."""
    linted = helm("lint", "--strict", "--quiet", CHART, "--values", SHAPES[shape])
    assert linted.returncode == 0, linted.stdout + linted.stderr
    noted = helm("install", "rel", CHART, "--dry-run=client", "--values", SHAPES[shape])
    assert "helm test rel --namespace default" in noted.stdout, noted.stderr


@_SHAPES
def test_kubernetes_accepts_every_manifest(shape: str) -> None:
    """Each manifest fits the schemas of the oldest and the newest version that the chart is for, unknown fields too."""
    has_image_volumes = any("-symbols-" in one["metadata"]["name"] for one in of_kind(shape, "Job"))
    for version in (_IMAGE_VOLUMES if has_image_volumes else _OLDEST, _NEWEST):
        for manifest in rendered(shape):
            found = problems(manifest, version)
            assert not found, f"{version} {manifest['kind']} {manifest['metadata']['name']}: {found}"


def test_the_check_of_manifests_refuses() -> None:
    """A field that does not exist, a wrong type and a missing field are found, in Kubernetes' own and custom kinds."""
    (daemon_set,) = (one for one in of_kind("smallest", "DaemonSet"))
    broken = json.loads(json.dumps(daemon_set))
    broken["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    broken["spec"]["minReadySeconds"] = "soon"
    del broken["spec"]["selector"]
    assert len(problems(broken, _NEWEST)) == 3
    scaled = json.loads(json.dumps(of_kind("everything", "ScaledObject")[0]))
    scaled["spec"]["maxReplicas"] = 3
    assert "maxReplicas" in problems(scaled, _NEWEST)[0]


@_SHAPES
def test_every_process_starts_with_its_settings(shape: str) -> None:
    """Command lines parse, no variable is misspelt or stands twice, and all are accepted together."""
    for pod in pods(shape):
        for container in pod.containers:
            arguments = container["args"] if "command" not in container else ["top"]
            for there, here in _HERE.items():
                arguments = [one.replace(there, here) for one in arguments]
            parse_command_line(arguments)
            names = [one["name"] for one in container.get("env", ())]
            assert len(names) == len(set(names))
            found = settings_of(container)
            assert found.keys() <= known_variables().keys()
            from_env(found)


@_SHAPES
def test_each_stage_is_a_set_of_stable_names(shape: str) -> None:
    """One stage a container, named after its pod, which keeps name and state: its membership survives a new pod."""
    found = {one["metadata"]["name"]: one["spec"] for one in of_kind(shape, "StatefulSet")}
    assert found.keys() == {f"rel-callstream-{stage.value}" for stage in Stage}
    for stage in Stage:
        spec = found[f"rel-callstream-{stage.value}"]
        (container,) = spec["template"]["spec"]["containers"]
        assert container["args"] == ["worker", "--stage", stage.value]
        assert settings_of(container)["CALLSTREAM_WORKER_INDEX"] == "0"
        assert spec["serviceName"] == f"rel-callstream-{stage.value}"
        (state,) = spec["volumeClaimTemplates"]
        assert {"name": state["metadata"]["name"], "mountPath": "/var/lib/callstream"} in container["volumeMounts"]
        assert ("replicas" in spec) != bool(of_kind(shape, "ScaledObject"))


@_SHAPES
def test_selectors_and_ports_meet(shape: str) -> None:
    """Whatever selects pods or services selects some, and named ports exist on what is selected."""
    templates = pods(shape)
    services = of_kind(shape, "Service")
    for one in of_kind(shape, "DaemonSet", "StatefulSet"):
        assert selects(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"])
        others = [pod for pod in templates if pod.owner is not one]
        assert not any(selects(one["spec"]["selector"], pod.labels) for pod in others)
    for one in services:
        (pod,) = [pod for pod in templates if selects({"matchLabels": one["spec"]["selector"]}, pod.labels)]
        for port in one["spec"]["ports"]:
            assert named_ports(pod)[port["targetPort"]] == port["port"]
    for one in of_kind(shape, "PodDisruptionBudget"):
        assert len([pod for pod in templates if selects(one["spec"]["selector"], pod.labels)]) == 1
    for one in of_kind(shape, "ServiceMonitor"):
        (service,) = [one_ for one_ in services if selects(one["spec"]["selector"], one_["metadata"]["labels"])]
        assert {end["port"] for end in one["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
        jobs = {"callstream-ingest", "callstream-stages", "callstream-console"}
        assert service["metadata"]["labels"][one["spec"]["jobLabel"]] in jobs
    for pod in templates:
        for container in pod.containers:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in named_ports(pod)
                assert (probe in container) == (container["args"][0] in {"ingest", "worker", "console"})


@_SHAPES
def test_everything_that_is_mounted_exists_and_is_used(shape: str) -> None:
    """Each mount has its volume, each volume a mount, and each ConfigMap and claim that the chart makes a user."""
    made = {(one["kind"], one["metadata"]["name"]) for one in of_kind(shape, "ConfigMap", "PersistentVolumeClaim")}
    for pod in pods(shape):
        volumes = {one["name"] for one in pod.spec.get("volumes", ())}
        claims = {one["metadata"]["name"] for one in pod.owner["spec"].get("volumeClaimTemplates", ())}
        mounted = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", ())}
        assert mounted == volumes | claims, pod.component
        for volume in pod.spec.get("volumes", ()):
            if volume["name"] == "tracing-policies":
                assert volume["configMap"]["name"] == "policies"  # which the operator makes
            elif "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in made
            if "persistentVolumeClaim" in volume and shape != "central":
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in made


@_SHAPES
def test_secrets_are_named_and_never_written(shape: str) -> None:
    """The chart makes no Secret, a setting with a secret is a path, and the file at that path comes from a Secret."""
    assert not of_kind(shape, "Secret")
    there = {(id(pod.owner), path) for pod, path, _ in places_of_secrets(shape)}
    used = set()
    for pod in pods(shape):
        for container in pod.containers:
            for name, value in settings_of(container).items():
                if re.search(r"PASSWORD|SECRET|TOKEN(?!_URL)|_KEY|_CERT|_CA_", name):
                    assert name.endswith("_FILE")
                    assert (id(pod.owner), value) in there, f"{pod.component} {name}"
                    used.add((id(pod.owner), value))
    assert used == there


@_SHAPES
def test_every_container_is_confined(shape: str) -> None:
    """No way to more rights, a read-only root, no capability; two processes are root, and two have a token."""
    for pod in pods(shape):
        reads_layers = pod.component == "node-symbols"
        assert pod.spec["automountServiceAccountToken"] is (pod.component in {"node-symbols", "nodes"})
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()
        for container in pod.containers:
            own = container["securityContext"]
            assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
            assert own["capabilities"]["drop"] == ["ALL"]
            as_root = {**pod.spec["securityContext"], **own}["runAsUser"] == 0
            assert as_root == (pod.component in {"ingest", "node-symbols"} and container["name"] != "symbol-store")
            assert own["capabilities"].get("add", []) == (["DAC_OVERRIDE"] if reads_layers and as_root else [])
            assert container["resources"]["limits"]["memory"]
            assert re.fullmatch(rf"{TAGGED}|[a-z0-9/._-]+@{DIGEST}", container["image"]), container["image"]
        from_host = [volume for volume in pod.spec.get("volumes", ()) if "hostPath" in volume]
        assert bool(from_host) == (pod.component in {"ingest", "node-symbols"})


@_SHAPES
def test_nothing_can_be_reached_but_what_is_named(shape: str) -> None:
    """One policy closes every pod of the release; the others open ports that pods have or servers listen on."""
    policies = of_kind(shape, "NetworkPolicy")
    if shape == "bare":
        assert not policies
        return
    templates = pods(shape)
    closed = [one for one in policies if not {"ingress", "egress"} & one["spec"].keys()]
    (default,) = closed
    assert set(default["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert all(selects(default["spec"]["podSelector"], pod.labels) for pod in templates)
    opened: dict[str, set[int]] = {}
    for one in policies:
        chosen = [pod for pod in templates if selects(one["spec"]["podSelector"], pod.labels)]
        assert chosen, one["metadata"]["name"]
        for rule in one["spec"].get("ingress", ()):
            for port in rule["ports"]:
                assert all(port["port"] in named_ports(pod).values() for pod in chosen)
        for pod in chosen:
            ports = {port["port"] for rule in one["spec"].get("egress", ()) for port in rule["ports"]}
            opened[pod.component] = opened.get(pod.component, set()) | ports
    for pod in templates:
        if pod.component != "symbols":  # mounts an image and a claim, and asks nobody
            assert 53 in opened[pod.component]
        for container in pod.containers:
            servers = settings_of(container).get("CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS", "")
            wanted = {int(one.rpartition(":")[2]) for one in servers.split(",") if one}
            assert wanted <= opened.get(pod.component, set()), pod.component


def test_each_process_is_a_user_of_its_own() -> None:
    """As in the file of rights that the chart applies, so that nobody can read more than it needs."""
    users: dict[str, set[str]] = {}
    for pod in pods("smallest"):
        for container in pod.containers:
            if name := settings_of(container).get("CALLSTREAM_KAFKA_SASL_USERNAME"):
                users.setdefault(pod.component, set()).add(name)
    assert users == {name: {name} for name in ("ingest", *(stage.value for stage in Stage))} | {
        "topics": {"admin"},
        "test": {"admin"},
    }
    rights = tomllib.loads((ROOT / "deploy" / "kafka" / "acls.toml").read_text(encoding="utf-8"))
    assert {"ingest", *(stage.value for stage in Stage)} <= rights.keys()


def test_rules_dashboards_and_rights_are_those_of_deploy() -> None:
    """There is one source: what the chart installs is what the other deployments use."""
    (rules,) = of_kind("everything", "PrometheusRule")
    written = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    assert rules["spec"] == written
    maps = {name: text for one in of_kind("everything", "ConfigMap") for name, text in one["data"].items()}
    for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"):
        assert maps[path.name] == path.read_text(encoding="utf-8")
    assert maps["acls.toml"] == (ROOT / "deploy" / "kafka" / "acls.toml").read_text(encoding="utf-8")


def test_people_reach_every_process_from_the_toolbox() -> None:
    """Its own user, the names of all processes' services, and the ports that policies open for it."""
    (toolbox,) = (pod for pod in pods("everything") if pod.component == "toolbox")
    settings = from_env(settings_of(toolbox.containers[0]))
    assert settings.kafka_sasl_username == "operator"
    names = {
        f"{one['metadata']['name']}.{NAMESPACE}.svc:9464"
        for one in of_kind("everything", "Service")
        if any(port["port"] == 9464 for port in one["spec"]["ports"])
    }
    assert {str(address) for address in settings.process_addresses} == names
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind("everything", "NetworkPolicy")}
    (rule,) = policies["rel-callstream-metrics"]["ingress"]
    assert any("podSelector" in one and selects(one["podSelector"], toolbox.labels) for one in rule["from"])
    assert selects(policies["rel-callstream-toolbox"]["podSelector"], toolbox.labels)


def test_people_reach_the_console_by_the_names_that_they_are_given() -> None:
    """It sees all processes, answers to its hosts alone, and its health is asked under one of them."""
    (console,) = (pod for pod in pods("everything") if pod.component == "console")
    (container,) = console.containers
    settings = from_env(settings_of(container))
    assert settings.kafka_sasl_username == "console"
    assert settings.console_allowed_hosts == ("callstream.example.org",)
    assert len(settings.process_addresses) == 4
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    base = settings.console_base_path
    assert paths == {"startup": f"{base}healthz", "liveness": f"{base}healthz", "readiness": f"{base}readyz"}
    probe = container["readinessProbe"]["httpGet"]
    assert probe["httpHeaders"] == [{"name": "Host", "value": "callstream.example.org"}]
    assert named_ports(console)[probe["port"]] == settings.console_port
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind("everything", "NetworkPolicy")}
    (scraped,) = policies["rel-callstream-metrics"]["ingress"]
    assert any("podSelector" in one and selects(one["podSelector"], console.labels) for one in scraped["from"])
    assert selects(policies["rel-callstream-console"]["podSelector"], console.labels)


def test_the_console_is_scraped_with_its_token() -> None:
    """By the pod's address, below its base path, from where other processes are scraped too, and only if it is."""
    (console,) = (pod for pod in pods("everything") if pod.component == "console")
    settings = from_env(settings_of(console.containers[0]))
    (monitor,) = (one for one in of_kind("everything", "ServiceMonitor") if one["metadata"]["name"].endswith("console"))
    (end,) = monitor["spec"]["endpoints"]
    assert end["path"] == f"{settings.console_base_path}metrics"
    assert end["authorization"] == {"type": "Bearer", "credentials": {"name": "console-token", "key": "token"}}
    assert named_ports(console)[end["port"]] == settings.console_port
    opened = {one["metadata"]["name"]: one["spec"].get("ingress") for one in of_kind("everything", "NetworkPolicy")}
    (scraped,) = opened["rel-callstream-metrics"]
    wanted = [one for one in scraped["from"] if "namespaceSelector" in one]
    ports = [{"protocol": "TCP", "port": settings.console_port}]
    assert {"ports": ports, "from": wanted} in opened["rel-callstream-console"]
    more = ("--set", "monitoring.serviceMonitors.enabled=false", "--namespace", NAMESPACE)
    done = helm("template", "rel", CHART, "--values", SHAPES["everything"], *more)
    unscraped = [one for one in yaml.safe_load_all(done.stdout) if one and one["kind"] == "NetworkPolicy"]
    (policy,) = (one for one in unscraped if one["metadata"]["name"] == "rel-callstream-console")
    assert [rule["from"] for rule in policy["spec"]["ingress"]] == [[{"podSelector": {}}]]


def test_who_asks_kubernetes_may_only_list() -> None:
    """Pods for the images of a node, and nodes for what the fleet owes; nobody may read a Secret or change anything."""
    granted = {one["metadata"]["name"]: one["rules"] for one in of_kind("everything", "ClusterRole")}
    assert granted == {
        "obs-rel-callstream-node-symbols": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
        "obs-rel-callstream-nodes": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}],
    }
    bound = {one["roleRef"]["name"]: one["subjects"] for one in of_kind("everything", "ClusterRoleBinding")}
    accounts = {one["metadata"]["name"] for one in of_kind("everything", "ServiceAccount")}
    for name, subjects in bound.items():
        assert name in granted
        assert {one["name"] for one in subjects} <= accounts
    for pod in pods("everything"):
        assert pod.spec.get("serviceAccountName") in accounts | {None}


def test_an_alert_leads_to_its_page() -> None:
    """With an address, each rule's page is a link; it is a path in the repository otherwise."""
    more = ("--set", "monitoring.rules.runbooksAt=https://git.example.org/callstream/blob/main/")
    shown = ("--show-only", "templates/monitoring.yaml")
    done = helm("template", "rel", CHART, "--values", SHAPES["everything"], *more, *shown)
    links = re.findall(r"^ *runbook_url: (\S+)$", done.stdout, re.MULTILINE)
    assert links
    for link in links:
        path = link.removeprefix("https://git.example.org/callstream/blob/main/")
        assert path != link
        assert (ROOT / path).is_file(), link


def test_a_stage_grows_by_lag_up_to_its_partitions() -> None:
    """Each stage is scaled by the topic that it reads, and never beyond what it can use."""
    read = {"canonicalize": "tetragon.raw", "privacy": "runtime.canonical", "hot-symbols": "runtime.calls"}
    found = {one["spec"]["scaleTargetRef"]["name"]: one["spec"] for one in of_kind("everything", "ScaledObject")}
    assert found.keys() == {f"rel-callstream-{stage}" for stage in read}
    for stage, topic in read.items():
        spec = found[f"rel-callstream-{stage}"]
        assert spec["maxReplicaCount"] <= 12
        query = spec["triggers"][0]["metadata"]["query"]
        assert re.match(r"max\((\w+)\{", query)[1] in {metric.name for metric in metrics.ALL}  # type: ignore[index]
        assert f'stage="{stage}",topic="{topic}"' in query
    done = helm(
        "template", "rel", CHART, "--values", SHAPES["everything"], "--set", "topics.partitions=3", "--show-only",
        "templates/scaling.yaml",
    )  # fmt: skip
    assert done.stdout.count("maxReplicaCount: 3") == 3


def test_topics_are_made_before_anything_starts() -> None:
    """The Job is a hook of installs and upgrades: topics and schemas first, then who may do what with them."""
    (job,) = [one for one in of_kind("smallest", "Job") if one["metadata"]["name"].endswith("-topics")]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert [one["args"] for one in (*spec["initContainers"], *spec["containers"])] == [
        ["topics", "apply"],
        ["topics", "allow", "/etc/callstream/acls/acls.toml"],
    ]
    settings = from_env(settings_of(spec["initContainers"][0]))
    assert (settings.partitions, settings.replication_factor) == (12, 3)
