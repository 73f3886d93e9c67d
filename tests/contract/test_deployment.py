"""docker-compose.yml and deploy/ against the program that they deploy, as far as that goes without an engine."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from app.embedded.pins import read_pins
from app.settings import PREFIX, Settings, from_env, known_variables
from schemas.topics import MAX_EVENT_BYTES, RECORD_OVERHEAD_BYTES, Stage
from tests.support.command_lines import parse_command_line
from tests.support.pin_images import DIGEST, TAGGED

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_OURS = {name: service for name, service in _SERVICES.items() if service["image"].startswith("callstream:")}
_ONCE = {"topics", "access", "symbols", "toolbox"}
"""Services that end when they have done their work, and the one in which people run commands."""

_FOR_PEOPLE = {"console"}
"""Services of ours that a browser on this host reaches."""

_RUNNING = {name: service for name, service in _OURS.items() if name not in _ONCE | _FOR_PEOPLE}
_ON_KAFKA = [name for name in _OURS if name != "symbols"]
_ENDPOINT_PORT = "9464"


def test_there_is_one_service_for_ingest_and_for_each_stage() -> None:
    """Stages scale, lag and fail on their own; each has a host name that its group membership survives with."""
    commands = {tuple(service["command"]) for service in _RUNNING.values()}
    assert commands == {("ingest",)} | {("worker", "--stage", stage.value) for stage in Stage}
    for stage in Stage:
        assert _SERVICES[stage.value]["hostname"] == stage.value


@pytest.mark.parametrize("name", _OURS)
def test_every_command_parses(name: str) -> None:
    """The command line of a service is one that the program accepts."""
    parse_command_line([word.replace("/etc/callstream", str(_DEPLOY / "kafka")) for word in _OURS[name]["command"]])


@pytest.mark.parametrize("name", _OURS)
def test_every_setting_is_known_and_accepted(name: str) -> None:
    """No variable is misspelt, and all of them are right together."""
    settings = _settings(name)
    assert (settings.kafka_security_protocol == "SASL_SSL") is (name in _ON_KAFKA)


def _settings(name: str) -> Settings:
    """The settings of one of our services, where the operator has set nothing."""
    environment = {key: str(value) for key, value in _OURS[name]["environment"].items()}
    assert environment.keys() <= known_variables().keys()
    return from_env({key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for key, value in environment.items()})


def test_each_process_is_a_user_of_the_file_of_rights() -> None:
    """As production should be: nobody but `admin` may do more than the file says, and the broker knows each user."""
    users = {name: _settings(name).kafka_sasl_username for name in _ON_KAFKA}
    assert users == {name: name for name in [*_RUNNING, *_FOR_PEOPLE]} | {
        "topics": "admin",
        "access": "admin",
        "toolbox": "operator",
    }
    options = (_DEPLOY / "kafka" / "server.properties").read_text()
    known = dict(re.findall(r'user_([\w-]+)="\$\{secrets:/run/secrets:(\w+)\}"', options))
    rights = tomllib.loads((_DEPLOY / "kafka" / "acls.toml").read_text())
    assert rights.keys() | {"admin"} <= known.keys(), "a user of the file cannot log in"
    for user, secret in known.items():
        assert secret == f"kafka_{user.replace('-', '_')}_password"
    assert re.search(r"^super\.users=User:admin;User:ANONYMOUS$", options, re.MULTILINE)


def test_people_see_every_process_from_the_toolbox() -> None:
    """`docker compose run --rm toolbox top` knows all of them, and does not start with the others."""
    addresses = {str(address) for address in _settings("toolbox").process_addresses}
    assert addresses == {f"{name}:{_ENDPOINT_PORT}" for name in _RUNNING}
    assert _SERVICES["toolbox"]["profiles"] == ["people"]
    assert "metrics" in _SERVICES["toolbox"]["networks"]


def test_people_reach_the_console_on_this_host_with_a_token() -> None:
    """It listens where its port is published, sees every process, and its health is asked where it answers."""
    settings, service = _settings("console"), _SERVICES["console"]
    assert settings.console_host == "0.0.0.0"
    assert str(settings.console_token_file) == "/run/secrets/console_token"
    assert settings.process_addresses == _settings("toolbox").process_addresses
    assert service["ports"] == [f"127.0.0.1:{settings.console_port}:{settings.console_port}"]
    assert f"127.0.0.1:{settings.console_port}/healthz" in service["healthcheck"]["test"][-1]


def test_what_makes_evidence_is_deployed() -> None:
    """Names need a symbol store, and complete times need Tetragon's own losses; a deployment has both."""
    for name in ("canonicalize", "hot-symbols"):
        store = str(_settings(name).symbol_store_dir)
        assert f"symbols:{store}:ro" in _SERVICES[name]["volumes"]
        assert _SERVICES[name]["depends_on"]["symbols"] == {"condition": "service_completed_successfully"}
    assert f"symbols:{_settings('symbols').symbol_store_dir}" in _SERVICES["symbols"]["volumes"]
    host = urlsplit(_settings("ingest").tetragon_metrics_url).hostname
    assert f"{host}:host-gateway" in _SERVICES["ingest"]["extra_hosts"]


def test_no_other_service_gets_a_setting_of_ours() -> None:
    """A variable with our prefix elsewhere would look like a setting and be none."""
    for name, service in _SERVICES.items():
        if name not in _OURS:
            assert not [key for key in service.get("environment", {}) if key.startswith(PREFIX)]


def test_secrets_are_files_that_the_script_makes() -> None:
    """Every secret is declared, made by make-secrets.sh, kept out of git, and mounted only where it is used."""
    declared = _COMPOSE["secrets"]
    script = (_DEPLOY / "make-secrets.sh").read_text()
    for name, secret in declared.items():
        assert secret == {"file": f"deploy/secrets/{name}"}
        assert re.search(rf"\b{name}\b", script)
    assert "deploy/secrets/" in (_ROOT / ".gitignore").read_text().splitlines()
    files = {
        "broker": (_DEPLOY / "kafka" / "server.properties").read_text(),
        "prometheus": (_DEPLOY / "prometheus" / "prometheus.yml").read_text(),
    }
    for service_name, service in _SERVICES.items():
        mounted = set(service.get("secrets", ()))
        assert mounted <= declared.keys()
        text = files.get(service_name) or json.dumps(service.get("environment", {}))
        used = set(re.findall(r"/run/secrets[:/](\w+)", text))
        assert used == mounted, f"{service_name} mounts {mounted} and uses {used}"


def test_no_password_stands_in_an_environment() -> None:
    """What can be read with `docker inspect` names files only."""
    for service in _SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", key):
                assert str(value).startswith("/run/secrets/"), key


def test_everything_that_is_mounted_or_built_from_exists() -> None:
    """Each file of the checkout that a service or an image needs is there; each named volume is declared."""
    for service in _SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (_ROOT / source).exists(), source
            elif not source.startswith("/"):
                assert source in _COMPOSE["volumes"], source
        if build := service.get("build"):
            context = _ROOT / build["context"]
            assert (context / build.get("dockerfile", "Dockerfile")).is_file()
    mentioned = {volume.split(":")[0] for service in _SERVICES.values() for volume in service.get("volumes", ())}
    assert _COMPOSE["volumes"].keys() <= mentioned


def test_our_image_gets_the_packages_and_nothing_else_of_the_checkout() -> None:
    """The ignore file lets in what setuptools needs to build the program, and no secret or environment."""
    allowed = {line[1:] for line in (_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    deployed = {"build.lock", "requirements-aws.lock", "kafka/acls.toml", "sbom.cdx.json"}
    project = {"pyproject.toml", "setup.py", "requirements.lock", "README.md", "LICENSE", "AUTHORS"}
    assert allowed == {"agents", "app", "schemas"} | project | {f"deploy/{name}" for name in deployed}
    assert "*" in (_ROOT / ".dockerignore").read_text().splitlines()


def _images() -> list[str]:
    dockerfiles = [*_DEPLOY.rglob("Dockerfile")]
    bases = [base for file in dockerfiles for base in re.findall(r"^FROM (\S+)", file.read_text(), re.MULTILINE)]
    return bases + [service["image"] for service in _SERVICES.values()]


@pytest.mark.parametrize("image", _images())
def test_images_are_pinned(image: str) -> None:
    """A tag with a full version, so that two hosts run the same, with or without the digest of `make pin-images`."""
    assert re.fullmatch(rf"{TAGGED}(@{DIGEST})?", image), image


def test_broker_and_registry_are_the_versions_that_the_tests_ran_against() -> None:
    """The images have the versions of the embedded broker."""
    pins = read_pins()
    assert _SERVICES["broker"]["image"].split("@")[0] == f"apache/kafka:{pins.kafka_version}"
    registry = (_DEPLOY / "registry" / "Dockerfile").read_text()
    assert re.search(
        rf"^FROM apicurio/apicurio-registry:{re.escape(pins.registry_version)}(@|$)", registry, re.MULTILINE
    )
    assert _SERVICES["registry"]["image"].endswith(f":{pins.registry_version}")


def test_the_brokers_limits_are_the_pipelines() -> None:
    """A raw event of the greatest size passes the deployed broker too."""
    options = (_DEPLOY / "kafka" / "server.properties").read_text()
    assert f"message.max.bytes={MAX_EVENT_BYTES + RECORD_OVERHEAD_BYTES}\n" in options
    assert "auto.create.topics.enable=false\n" in options


@pytest.mark.parametrize("name", _SERVICES)
def test_every_service_is_confined_and_comes_back(name: str) -> None:
    """No capability, no new privileges, bounded memory, processes and logs, a restart policy and a health check."""
    service = _SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["pids_limit"] > 0
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert service["restart"] in {"unless-stopped", "on-failure:5"}
    if name in _RUNNING:
        assert "healthcheck" not in service, "the image has one"
    else:
        assert "test" in service["healthcheck"] or service["healthcheck"] == {"disable": True}
    if name in _OURS:
        assert service["read_only"] is True


def test_only_what_readers_and_operators_need_can_be_reached() -> None:
    """Inner networks have no way out; a published port is on loopback until the operator names an address."""
    networks = _COMPOSE["networks"]
    inner = {name for name, options in networks.items() if options.get("internal")}
    assert networks.keys() - inner == {"readers", "operators", "agent"}
    for name, service in _SERVICES.items():
        if name == "symbols":
            assert service["network_mode"] == "none"
            continue
        assert set(service["networks"]) <= networks.keys()
        for port in service.get("ports", ()):
            assert re.match(r"(\$\{PUBLIC_ADDRESS:-)?127\.0\.0\.1\}?:", port), port
        if name in _OURS:
            outside = {"ingest": {"agent"}, "console": {"operators"}}
            assert set(service["networks"]) - outside.get(name, set()) <= inner
    on_kafka = {name for name, service in _SERVICES.items() if "kafka" in service.get("networks", ())}
    assert on_kafka == {"broker", *_ON_KAFKA}


@pytest.mark.parametrize("name", _ON_KAFKA)
def test_every_server_that_a_service_asks_is_on_a_network_of_its_own(name: str) -> None:
    """Ingest too looks up a schema: without a way to the registry its gaps would wait for ever."""
    service = _OURS[name]
    settings = _settings(name)
    registry, broker = urlsplit(settings.schema_registry_url).hostname, settings.kafka_bootstrap_servers.split(":")[0]
    assert registry is not None
    for server in (registry, broker):
        assert set(service["networks"]) & set(_SERVICES[server]["networks"]), server


def test_services_wait_for_what_they_need() -> None:
    """Each dependency exists, is checked for health or runs to its end; nothing starts before the topics are made."""
    for service in _SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in _SERVICES[other]["healthcheck"]
            else:
                assert how["condition"] == "service_completed_successfully"
                assert _SERVICES[other]["healthcheck"] == {"disable": True}
    for service in _RUNNING.values():
        assert service["depends_on"]["access"]["condition"] == "service_completed_successfully"
    assert _SERVICES["access"]["depends_on"].keys() == {"topics"}


def test_health_checks_and_scrapes_reach_the_endpoint() -> None:
    """Prometheus scrapes every running process of ours, on its port, over a network that both are on.

    The console wants its token for that.
    """
    config = yaml.safe_load((_DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {tuple(group["targets"]): job for job in config["scrape_configs"] for group in job["static_configs"]}
    shown = jobs.pop((f"console:{_settings('console').console_port}",))
    assert shown["authorization"] == {"credentials_file": str(_settings("console").console_token_file)}
    assert jobs.keys() == {(f"{name}:{_ENDPOINT_PORT}",) for name in _RUNNING}
    assert {"metrics"} <= set(_SERVICES["console"]["networks"])
    assert all(job["job_name"].startswith("callstream") for job in config["scrape_configs"]), (
        "the alerts know ours by it"
    )
    for service in _RUNNING.values():
        assert service["environment"]["CALLSTREAM_HTTP_PORT"] == _ENDPOINT_PORT
        assert service["environment"]["CALLSTREAM_HTTP_HOST"] == "0.0.0.0"
        assert f" CALLSTREAM_HTTP_PORT={_ENDPOINT_PORT}\n" in (_DEPLOY / "Dockerfile").read_text(), "of its own check"
        assert "metrics" in service["networks"]
    assert "metrics" in _SERVICES["prometheus"]["networks"]
    assert "metrics" in _SERVICES["grafana"]["networks"]
