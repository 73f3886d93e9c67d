"""What we override in Faust, aiokafka and mode is what we have read: a changed version must be read again."""

import gc
import hashlib
import inspect
from importlib import metadata
from typing import Any

import pytest
from aiokafka import conn
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.app.base import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver
from mode.services import Service

from app.kafka.fetched import CLOSE, FetchedRecords

READ: dict[str, tuple[Any, str]] = {
    "getmany": (consumer.Consumer.getmany, "4b168d84882a70d6"),
    "_wait_next_records": (consumer.Consumer._wait_next_records, "6218e1969a636b3f"),
    "_drain_messages": (consumer.Consumer._drain_messages, "44a2500309e83c63"),
    "perform_seek": (consumer.Consumer.perform_seek, "0e8c130ff4b0afd8"),
    "ack": (consumer.Consumer.ack, "5fcf41cf45153475"),
    "_add_gap": (consumer.Consumer._add_gap, "4df2573ded7c1c2c"),
    "commit": (consumer.Consumer.commit, "a354437baaa08bf8"),
    "force_commit": (consumer.Consumer.force_commit, "cc094614d22c70fb"),
    "wait_empty": (consumer.Consumer.wait_empty, "e4662fe24f094819"),
    "on_stop": (consumer.Consumer.on_stop, "45b1d2210ce2b526"),
    "on_partitions_revoked": (consumer.Consumer.on_partitions_revoked, "d04b7ae72c6fc206"),
    "on_partitions_assigned": (consumer.Consumer.on_partitions_assigned, "29ce96596f05a18c"),
    "verify_all_partitions_active": (consumer.Consumer.verify_all_partitions_active, "4e0e46f5c297305d"),
    "thread._fetch_records": (driver.AIOKafkaConsumerThread._fetch_records, "39a2c6c79fc1455a"),
    "thread._seek_wait": (driver.AIOKafkaConsumerThread._seek_wait, "9d221e816d940467"),
    "committed": (AIOKafkaConsumer.committed, "d8706147ab1573ad"),
    "fetch_committed_offsets": (GroupCoordinator.fetch_committed_offsets, "6c049c7379165952"),
    "thread._create_worker_consumer": (driver.AIOKafkaConsumerThread._create_worker_consumer, "c2701bfc3e6f6cad"),
    "credentials": (driver.credentials_to_aiokafka_auth, "364c9c9c68523c50"),
    "app._on_agent_error": (App._on_agent_error, "bdd12f286de64429"),
    "app._on_partitions_revoked": (App._on_partitions_revoked, "d5c895bbe57dc73a"),
    "app._stop_consumer": (App._stop_consumer, "55854a5de12c3f52"),
    "tables.on_start": (TableManager.on_start, "365dd25fbc0e0684"),
    "recovery._slurp_changelogs": (Recovery._slurp_changelogs.fun, "7825c7e50f766d5a"),
    "recovery._seek_offsets": (Recovery._seek_offsets, "19598ca63d94d250"),
    "recovery._build_offsets": (Recovery._build_offsets, "27eec86be06cb51f"),
    "recovery.on_recovery_completed": (Recovery.on_recovery_completed, "6ef567acf072e46d"),
    "fetcher.close": (CLOSE, "1cd24bc1c442149e"),
    "fetcher.getall": (fetcher.FetchResult.getall, "3e717e30de5068d5"),
    "fetcher.fetched_records": (fetcher.Fetcher.fetched_records, "be4348896b9b66af"),
    "fetcher._proc_fetch_request": (fetcher.Fetcher._proc_fetch_request, "59bf948fff47eed5"),
    "fetcher._update_fetch_positions": (fetcher.Fetcher._update_fetch_positions, "d7774d8241dc6a7e"),
    "fetcher.PartitionRecords": (FetchedRecords.__base__, "94aa0da0dbec8d1b"),
    "connection.connect": (AIOKafkaConnection.connect, "b0f9ba7f0cf6b432"),
    "connection.send": (AIOKafkaConnection.send, "5909ea32f4efca49"),
    "connection.close": (AIOKafkaConnection.close, "28f164aa1e4f0bbc"),
    "connection._do_sasl_handshake": (AIOKafkaConnection._do_sasl_handshake, "d4f7b5acbbecc07b"),
    "connection._handle_frame": (AIOKafkaConnection._handle_frame, "46a7d9b8cf7ca222"),
    "create_conn": (conn.create_conn, "673276cbddb4dc7c"),
    "client._get_conn": (AIOKafkaClient._get_conn, "68ce5d8391719d33"),
    "service.crash": (Service.crash, "14980000465df0af"),
}
"""Functions that we replace or rely on in detail, with the digest of the source that was read."""


def _digest(function: Any) -> str:
    # Python 3.11 parses a class's module to find its source. If the garbage collector then runs a finalizer that parses
    # too (a future that logs its traceback), the outer parse fails with "AST constructor recursion depth mismatch".
    gc.disable()
    try:
        source = inspect.getsource(inspect.unwrap(function))
    finally:
        gc.enable()
    return hashlib.sha256(source.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", READ)
def test_the_source_we_build_on_has_not_changed(name: str) -> None:
    """A new digest means: read the function again, see whether our override still holds, then note the digest here."""
    function, digest = READ[name]
    assert _digest(function) == digest


def test_versions_are_the_ones_that_were_read() -> None:
    """The compiled parts of Faust, which have no source to compare, belong to these versions."""
    versions = {name: metadata.version(name) for name in ("faust-streaming", "mode-streaming", "aiokafka")}
    assert versions == {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
