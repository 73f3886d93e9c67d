"""Checks of this machine: settings, folders, secrets' permissions, hook map, symbol store, privacy policy.

Everything is read as the program itself reads it, and nothing is written.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

from app.doctor.certificates_check import check_certificates
from app.doctor.findings import CheckFinding, fail, ok, warn
from app.privacy.load import PrivacyConfigError, lacks_key, load_privacy
from app.serving.address import HostPort, is_loopback
from app.settings import Settings, SettingsError, load, unknown_variables, variable_of
from app.stages.hot_symbols.advertising import advertised
from app.stages.hot_symbols.peers import resolved
from app.stages.hot_symbols.query_port import client_tls, read_token, server_tls
from app.steps import PolicyHooksError, load_policy_hooks
from app.symbols.snapshot import ObjectKind, SymbolStoreError
from app.symbols.store import SymbolStore

MIN_FREE_BYTES: Final = 1 << 30
"""The stages' state takes some hundred megabytes; Kafka's own disk is not checked."""

_SECRET_FILES: Final = (
    "tetragon_tls_key_file",
    "kafka_ssl_key_file",
    "kafka_sasl_password_file",
    "kafka_sasl_oauth_token_file",
    "kafka_sasl_oauth_client_secret_file",
    "schema_registry_ssl_key_file",
    "schema_registry_password_file",
    "schema_registry_token_file",
    "schema_registry_oauth_client_secret_file",
    "privacy_key_file",
    "hot_symbols_token_file",
    "hot_symbols_tls_key_file",
)
_READABLE_BY_OTHERS: Final = stat.S_IRGRP | stat.S_IROTH
_TABLE: Final = "callstream doctor --settings lists what can be set"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def read_settings(environ: Mapping[str, str]) -> tuple[Settings | None, list[CheckFinding]]:
    """The settings, or None if they cannot be used, and findings about the variables themselves."""
    findings = [
        warn(f"{name} is not a setting of callstream", f"did you mean {nearest}?" if nearest else _TABLE)
        for name, nearest in unknown_variables(environ).items()
    ]
    try:
        settings = load(environ)
    except SettingsError as error:
        return None, [*(fail(line, _TABLE) for line in error.errors), *findings]
    differing = [f for f in fields(Settings) if getattr(settings, f.name) != f.default]
    names = ", ".join(variable_of(f.name) for f in differing) or "none"
    return settings, [
        ok(f"{len(differing)} of {len(fields(Settings))} settings differ from the default: {names}"),
        *findings,
    ]


def check_settings(settings: Settings) -> Iterator[CheckFinding]:
    """Folders, secrets, and addresses that other machines can reach."""
    yield from _check_folder("data_dir", settings.data_dir)
    if settings.spill_dir is not None:
        yield from _check_folder("spill_dir", settings.spill_dir)
    for name in _SECRET_FILES:
        path = getattr(settings, name)
        if path is not None and path.stat().st_mode & _READABLE_BY_OTHERS:
            yield warn(f"{variable_of(name)}: {path} can be read by others than its owner", f"chmod 600 {path}")
    if settings.http_host not in _LOOPBACK:
        yield warn(
            f"metrics and health are served on {settings.http_host}, without authentication",
            "set CALLSTREAM_HTTP_HOST=127.0.0.1, or let only the scraper reach the port",
        )
    yield from check_certificates(settings)
    yield from _check_hot_symbols(settings)
    try:
        hooks = load_policy_hooks(settings.policy_hooks_file)
    except PolicyHooksError as error:
        yield fail(str(error), "correct the file that CALLSTREAM_POLICY_HOOKS_FILE names")
        return
    if settings.policy_hooks_file is not None:
        yield ok(f"{len(hooks)} policies are known to be fentry, fexit or uretprobe hooks")


def _check_hot_symbols(settings: Settings) -> Iterator[CheckFinding]:
    """Whether /hot-symbols can start with these files, and who can read what it sends."""
    if settings.hot_symbols_port is None:
        return
    try:
        read_token(settings)
        server_tls(settings)
        client_tls(settings)
    except SettingsError as error:
        yield from (fail(line, "correct the file that the setting names") for line in error.errors)
        return
    host = settings.hot_symbols_host.strip("[]")
    if settings.hot_symbols_tls_cert_file is None and not is_loopback(host):
        yield warn(
            f"/hot-symbols on {host} has no TLS: whoever can read the traffic has the token",
            "set CALLSTREAM_HOT_SYMBOLS_TLS_CERT_FILE and CALLSTREAM_HOT_SYMBOLS_TLS_KEY_FILE",
        )
    where = advertised(settings, HostPort(host, settings.hot_symbols_port))
    if settings.peer_networks and not any(
        one in network for one in resolved(where.host) for network in settings.peer_networks
    ):
        yield warn(
            f"this worker advertises {where.host}, which CALLSTREAM_PEER_NETWORKS does not allow",
            "add its network on all workers, or correct CALLSTREAM_ADVERTISED_ADDRESS",
        )
    yield ok(f"/hot-symbols is served on {host}, and advertised as {where.host}")


def check_symbols(settings: Settings) -> Iterator[CheckFinding]:
    """The symbol store, and whether it is empty."""
    folder = settings.symbol_store_dir
    if folder is None:
        yield warn(
            "no symbol store is set: user frames keep module and file offset",
            "set CALLSTREAM_SYMBOL_STORE_DIR and run: callstream symbols add",
        )
        return
    try:
        store = SymbolStore.open(folder)
        indexes = store.snapshot.of_kind(ObjectKind.INDEX)
        paths = store.ambiguous_modules()
        maps = len(store.snapshot.of_kind(ObjectKind.MODULES)) + len(store.snapshot.of_kind(ObjectKind.KERNEL))
    except SymbolStoreError as error:
        yield fail(str(error), "correct CALLSTREAM_SYMBOL_STORE_DIR, or run: callstream symbols add")
        return
    if not indexes:
        yield warn(f"the symbol store {folder} is empty", "run: callstream symbols add")
        return
    yield ok(f"symbol store with {len(indexes)} indexes and {maps} maps, snapshot {store.digest[:12]}")
    if store.ambiguous:
        yield warn(
            f"{len(store.ambiguous)} build ids are shared by files with different code, so their frames are Ambiguous",
            "see callstream symbols list, and say which code is meant: callstream symbols resolve",
        )
    if paths:
        yield warn(
            f"{len(paths)} paths of an image or a node may be one of several files",
            "see callstream symbols list; callstream symbols add --replace forgets what is no longer there",
        )


def check_privacy(settings: Settings) -> Iterator[CheckFinding]:
    """The privacy policy and its key."""
    try:
        privacy = load_privacy(settings)
    except PrivacyConfigError as error:
        for line in str(error).splitlines():
            yield fail(line, "check it with: callstream privacy policy --check FILE")
        return
    source = settings.privacy_policy_file or "built in"
    yield ok(f"privacy policy {privacy.policy.name!r} ({source}), id {privacy.policy.policy_id}")
    if lacks_key(privacy):
        yield warn(
            "the policy has pseudonyms and no key is set, so users and home owners are masked",
            "set CALLSTREAM_PRIVACY_KEY_FILE",
        )


def _check_folder(name: str, path: Path) -> Iterator[CheckFinding]:
    """Whether a folder, or the one that it will be made in, can be written and has free space."""
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield fail(f"{variable_of(name)}: {path} cannot be written", f"give this user the right to write in {existing}")
        return
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        yield warn(f"{variable_of(name)}: {path} has only {free >> 20} MiB free", "make room, or move it")
    else:
        yield ok(f"{variable_of(name)}: {path} can be written, {free >> 30} GiB free")
