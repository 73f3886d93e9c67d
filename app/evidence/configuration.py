"""What decides the bytes of a run, by digest: policy, pseudonym key, hook map, symbols, schemas; and what ran it.

The texts that decide (policy, hook map) are kept beside a run's manifest, so that the run can be made again a year
later. A key is named by its id only, and symbols by the digest of their snapshot, which the store keeps. Program and
dependencies are recorded, but decide nothing: a newer program may prove an older run.
"""

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from agents.privacy.policy_file import built_in_text, parse_policy
from agents.toml_text import MAX_TOML_BYTES
from app.evidence.documents import canonical_text
from app.evidence.schema_growth import has_field, has_only_grown
from app.files.folders import make_private
from app.files.replacing import replace_file
from app.operators.regular_files import read_regular_text
from app.privacy.load import Privacy, load_privacy
from app.settings import Settings
from app.symbols.store import SymbolStore
from schemas import records
from schemas.topics import Stage

DISTRIBUTION: Final = "callstream"

_DECIDING: Final = (records.CALL, records.DEAD_LETTER, records.RECORDED_RECORD)
_SOURCES: Final = (".py", ".pyi", ".toml", ".avsc")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that decides a run's bytes, besides its input. Digests are SHA-256 in lower hex; None is "not used".

    `policy_id` names the policy's meaning, `policy` its text; `schemas` are of the packaged .avsc files by name, and
    `call_schema` is the fingerprint of Avro's parsing canonical form of the calls' schema.
    """

    policy_id: str
    policy: str
    privacy_key: str | None
    policy_hooks: str | None
    symbols: str | None
    call_schema: str
    schemas: Mapping[str, str]


def stage_digest(configuration: Configuration, stage: Stage) -> str:
    """Names what decides one stage's output."""
    if stage is Stage.CANONICALIZE:
        return _canonicalize_digest(configuration.policy_hooks, configuration.symbols)
    return _privacy_digest(configuration.policy_id, configuration.privacy_key, configuration.call_schema)


def canonicalize_digest(settings: Settings, symbols: str | None) -> str:
    """The same from settings, for a canonicalize stage that has opened the symbol store's snapshot `symbols`."""
    path = settings.policy_hooks_file
    return _canonicalize_digest(None if path is None else _digest(read_regular_text(path, MAX_TOML_BYTES)), symbols)


def privacy_digest(privacy: Privacy) -> str:
    """The same for a privacy stage that runs `privacy`."""
    return _privacy_digest(privacy.policy.policy_id, privacy.key_id, call_schema_fingerprint())


def _canonicalize_digest(policy_hooks: str | None, symbols: str | None) -> str:
    return _digest(canonical_text({"policy_hooks": policy_hooks, "symbols": symbols}))


def _privacy_digest(policy_id: str, key_id: str | None, call_schema: str) -> str:
    return _digest(canonical_text({"policy_id": policy_id, "privacy_key": key_id, "call_schema": call_schema}))


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Keep the texts of a configuration in `folder`. Raises OSError."""
    make_private(folder)
    for name, text in texts.items():
        replace_file(folder / name, text.encode())


POLICY_FILE: Final = "policy.toml"
HOOKS_FILE: Final = "policy-hooks.toml"


def call_schema_fingerprint() -> str:
    """SHA-256 of the parsing canonical form of the calls' schema: what a registry's ids stand for."""
    return fingerprint(records.parsed_schema(records.CALL))


def fingerprint(schema: Any) -> str:
    """SHA-256 of the parsing canonical form of a schema."""
    return str(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "SHA-256"))


def fingerprint_of_text(text: str) -> str:
    """The same of a schema's text. Raises ValueError if the text is not a schema."""
    return fingerprint(_parsed(text))


def grown_call_schema(text: str | None) -> str | None:
    """`text`, if the schema of calls has only grown since: its bytes are those of this program. None otherwise."""
    try:
        parsed = None if text is None else _parsed(text)
    except ValueError:
        return None
    return text if parsed is not None and has_only_grown(parsed, records.parsed_schema(records.CALL)) else None


def says_snapshot(call_schema: str | None) -> bool:
    """Whether calls under such a schema, or under this program's, say which snapshot named them."""
    return call_schema is None or has_field(_parsed(call_schema), "symbol_snapshot")


def _parsed(text: str) -> Any:
    try:
        return fastavro.parse_schema(json.loads(text))
    except (SchemaParseException, UnknownType, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no schema: {type(error).__name__}") from None


def configuration_of(
    settings: Settings, symbols: str | None = None, call_schema: str | None = None
) -> tuple[Configuration, dict[str, str]]:
    """The configuration that settings name, at the symbol store's snapshot `symbols` or its current one; and its texts.

    `call_schema` is a text of the calls' schema that takes the place of this program's. The texts go by the names of
    their files beside a manifest. Raises what loading policy, key, hook map or symbol store raises.
    """
    privacy = load_privacy(settings)
    policy = settings.privacy_policy_file
    texts = {POLICY_FILE: built_in_text("default") if policy is None else read_regular_text(policy, MAX_TOML_BYTES)}
    if settings.policy_hooks_file is not None:
        texts[HOOKS_FILE] = read_regular_text(settings.policy_hooks_file, MAX_TOML_BYTES)
    configuration = Configuration(
        policy_id=privacy.policy.policy_id,
        policy=_digest(texts[POLICY_FILE]),
        privacy_key=privacy.key_id,
        policy_hooks=_digest(texts[HOOKS_FILE]) if HOOKS_FILE in texts else None,
        symbols=symbols_snapshot(settings, symbols),
        call_schema=call_schema_fingerprint() if call_schema is None else fingerprint_of_text(call_schema),
        schemas={name: _digest(records.schema_text(name)) for name in _DECIDING}
        | ({} if call_schema is None else {records.CALL: _digest(call_schema)}),
    )
    assert parse_policy(texts[POLICY_FILE]).policy_id == configuration.policy_id
    return configuration, texts


def with_texts_of(settings: Settings, folder: Path) -> Settings:
    """The settings with the texts that were kept in `folder`, as far as there are any."""
    policy, hooks = folder / POLICY_FILE, folder / HOOKS_FILE
    return replace(
        settings,
        privacy_policy_file=policy if policy.exists() else settings.privacy_policy_file,
        policy_hooks_file=hooks if hooks.exists() else None,
    )


def program() -> dict[str, Any]:
    """What runs: version, digest of the code that decides, Python, and the versions of all dependencies."""
    required = metadata.requires(DISTRIBUTION) or []
    names = sorted({found[0] for line in required if "extra ==" not in line and (found := _NAME.match(line))})
    return {
        "version": metadata.version(DISTRIBUTION),
        "code": code_digest(),
        "python": platform.python_version(),
        "dependencies": {name: metadata.version(name) for name in names},
    }


def program_name() -> str:
    """Version and the beginning of the code's digest: two programs of one name give the same for the same input."""
    return f"{metadata.version(DISTRIBUTION)}+{code_digest()[:16]}"


def code_digest() -> str:
    """Digest of the pure core's sources, agents and schemas: the code that decides what comes out."""
    hashed = hashlib.sha256()
    for package in ("agents", "schemas"):
        for path, content in sorted(_sources(files(package), package)):
            hashed.update(b"%s %d\n" % (path.encode(), len(content)) + content)
    return hashed.hexdigest()


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        inner = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, inner)
        elif entry.name.endswith(_SOURCES):
            yield inner, entry.read_bytes()


def symbols_snapshot(settings: Settings, wanted: str | None = None) -> str | None:
    """Digest of the symbol store's snapshot `wanted`, or of its current one; None without a store.

    Raises SymbolStoreError.
    """
    folder = settings.symbol_store_dir
    return None if folder is None else SymbolStore.open(folder, wanted).digest


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
