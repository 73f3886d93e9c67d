"""Apicurio Registry on loopback, with its schemas in a file of its own.

Schemas and their ids are in an H2 file that is written through at every change, so they survive a kill as well as a
restart. The registry does not need the broker. Every port it opens is on loopback.
"""

import urllib3

from app.embedded.artifacts import Artifacts
from app.embedded.data_dir import DataDir
from app.embedded.jvm import JavaProgram
from app.embedded.ports import LOOPBACK
from app.embedded.start_caches import start_options, stop_seconds

API_PATH = "/apis/ccompat/v7"
"""Where Apicurio serves Confluent's REST interface."""

_HEAP_MIB = 192


def server_program(data: DataDir, artifacts: Artifacts, port: int) -> JavaProgram:
    """The registry, serving on `port`."""
    folder = data.root / "registry"
    folder.mkdir(mode=0o700, exist_ok=True)
    options = {
        "quarkus.http.host": LOOPBACK,
        "quarkus.http.port": port,
        # a second server for probes, on every address and port 9000 by default
        "quarkus.management.host": LOOPBACK,
        "quarkus.management.port": 0,
        "quarkus.log.level": "WARN",
        'quarkus.log.category."io.apicurio".level': "WARN",
        "quarkus.banner.enabled": "false",
        "quarkus.http.access-log.enabled": "false",
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.url": f"jdbc:h2:file:{folder / 'schemas'};WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE",
    }
    properties = tuple(f"-D{name}={value}" for name, value in options.items())
    return JavaProgram(
        name="registry",
        heap_mib=_HEAP_MIB,
        arguments=(
            *start_options(artifacts, "registry"),
            *properties,
            "-jar",
            str(artifacts.registry_home / "quarkus-run.jar"),
        ),
        data=data,
        stop_seconds=stop_seconds(artifacts),
    )


def registry_url(port: int) -> str:
    """Base URL of Confluent's REST interface."""
    return f"http://{LOOPBACK}:{port}{API_PATH}"


def serves(port: int) -> bool:
    """Whether the registry serves clients now: it can list its subjects."""
    limit = urllib3.Timeout(connect=0.2, read=5)
    try:
        return urllib3.request("GET", registry_url(port) + "/subjects", retries=False, timeout=limit).status == 200
    except urllib3.exceptions.HTTPError:
        return False
