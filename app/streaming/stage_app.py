"""One Faust app for a stage, set up so that it loses nothing and serves only what we put there.

Every value that differs from Faust's default has its reason beside it. The app starts no producer (we deliver), no
web server and no leader topic, and declares no topics. When an agent or a service of it fails, it ends the process.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faust
from confluent_kafka import KafkaException
from faust.app import BootStrategy
from faust.auth import OAuthCredentials
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP, AgentT
from faust.types.auth import CredentialsT

from app.kafka import renewed_login
from app.kafka.client import client_config, is_away, tls_context
from app.kafka.login import aiokafka_login
from app.operators.errors import OperatorError, ServerError
from app.processes.process_end import ExitCode, Fail, end_process
from app.settings import Settings
from app.streaming.consumer import BatchConsumer
from app.streaming.delivery import DeliveryFailedError
from app.streaming.membership import identity_of
from app.streaming.transport import BatchSchema, BatchTransport
from app.symbols.snapshot import SymbolStoreError

log = logging.getLogger(__name__)

QUEUED_BATCHES = 16
"""Batches that wait in an agent's queue; Faust stops fetching a partition at four fifths of it. A batch is work for
some 20 ms, so this bridges a third of a second, and bounds memory together with the delivery window."""

FETCH_MAX_BYTES = 4 << 20
"""For each partition and fetch; larger records still arrive, one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTimes:
    """Times of the consumer group, in seconds; tests shorten them."""

    session: float = 10.0
    """A killed worker's partitions wait for this long: failover is to take under 15 s."""
    heartbeat: float = 1.0
    """How soon the others learn that a session is over: of the fifteen seconds, ten are the session's."""
    rebalance: float = 30.0
    max_poll_interval: float = 300.0
    """Longer than any pause in fetching that we cause: a broker outage with full queues."""
    request: float = 30.0
    commit_interval: float = 1.0
    """Bounds what is repeated after a kill; a commit costs the broker one small record."""


class _Boot(BootStrategy):
    enable_web = False
    enable_kafka_producer = False  # records go out through Delivery; a second producer could write unnoticed


class PromptTableManager(TableManager):
    """Faust's manager first sleeps a second, for tables that are made late. Ours exist, so this one does not."""

    mundane_level = "debug"

    async def on_start(self) -> None:
        """Subscribe to the changelogs and begin to recover."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class StageApp(faust.App):
    """Faust app that ends its process when something in it breaks: a restart goes on from what was committed."""

    mundane_level = "debug"  # of the lines that say "Starting..." and "Stopping..." for every service
    BootStrategy = _Boot
    fail: Fail = staticmethod(end_process)
    find_foreign: Callable[[], str | None] = staticmethod(lambda: None)
    """Says where another program wrote on a topic that is ours alone, and what to do; None if none did. Blocks."""

    def end_by_cause(self, error: BaseException) -> None:
        """End the process by the cause of an error, if that is a server or a file: no fault of the program."""
        match error:
            case DeliveryFailedError():
                self.fail(ExitCode.DELIVERY_FAILED, str(error))
            case ServerError():
                self.fail(ExitCode.UNAVAILABLE, str(error))
            case SymbolStoreError():  # speaks about a file, never about an event
                self.fail(ExitCode.FILE_DAMAGED, str(error))
            case _ if is_away(error):
                self.fail(ExitCode.UNAVAILABLE, f"Kafka cannot be used now: {type(error).__name__} at {_place(error)}")

    def blame_foreign(self, error: BaseException) -> None:
        """End the process by a code of its own if what failed has read another program's record. Blocks.

        After an error of a server or a file nothing is searched: no record caused it, and a restart should not wait.
        """
        found = None if isinstance(error, OperatorError | OSError | KafkaException) else self.find_foreign()
        if found is not None:
            self.fail(ExitCode.FOREIGN_RECORD, found)

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """Stock Faust commits here, and then goes on with the next event."""
        self.end_by_cause(exc)
        await asyncio.to_thread(self.blame_foreign, exc)
        self.fail(ExitCode.BROKEN_STEP, f"agent {agent.name} raised {type(exc).__name__} at {_place(exc)}")

    def _crash(self, reason: BaseException) -> None:
        super()._crash(reason)
        if not self._stopped.is_set():
            self.end_by_cause(reason)
            self.fail(ExitCode.FRAMEWORK_CRASHED, f"{type(reason).__name__} at {_place(reason)}")

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Drain before partitions are given up; a shutdown that has begun does that itself, and is waited for.

        Stock Faust closes the connection under it, and has the partitions given up at once: work that the shutdown was
        writing then belonged to nobody, and the process ended as if it had not been in time.
        """
        if self.should_stop:
            await self._has_drained.wait()
        else:
            await super()._on_partitions_revoked(revoked)

    async def _stop_consumer(self) -> None:
        await super()._stop_consumer()
        self._has_drained.set()

    @cached_property
    def _has_drained(self) -> asyncio.Event:
        """Set when a shutdown has written and committed all, or has no partition; SHUTDOWN_SECONDS bounds that."""
        return asyncio.Event()

    def bind(self) -> None:
        """Create, on the running event loop, the services that other threads read. Call it before they do.

        A Faust service belongs to the event loop of the thread that first asks for it. If a readiness probe asked
        first, the recovery of tables would belong to a loop that nobody runs, and the stage would never join its group.
        """
        self.tables.loop = asyncio.get_running_loop()
        self.recovery.loop = asyncio.get_running_loop()

    @property
    def recovery(self) -> Recovery:
        """What recovers the tables, typed."""
        tables = self.tables
        assert isinstance(tables, TableManager)
        return tables.recovery

    def serving(self, topic: str) -> frozenset[int]:
        """Partitions of a source topic that are ours, with tables up to date; none while tables are recovered.

        May be called from another thread.
        """
        if self.in_recovery or not self.recovery.completed.is_set():
            return frozenset()
        return frozenset(tp.partition for tp in self.consumer.assignment() if tp.topic == topic)

    @property
    def member_id(self) -> str:
        """The id that the group has given this process; empty before it has joined. Any thread may read it."""
        consumer = getattr(self.batch_consumer._thread, "_consumer", None)  # noqa: SLF001 - Faust does not show it
        return str(getattr(getattr(consumer, "_coordinator", None), "member_id", ""))

    @property
    def batch_consumer(self) -> BatchConsumer:
        """The consumer, typed."""
        consumer = self.consumer
        assert isinstance(consumer, BatchConsumer)
        return consumer


def make_app(
    settings: Settings, group: str, *, index: int, partitions: int, times: GroupTimes | None = None
) -> StageApp:
    """Make the app of consumer group `group` (unprefixed), worker number `index` on this host.

    `partitions` is the partition count that its topics and changelogs share. Raises OSError when the data folder cannot
    be made, or a certificate or password file cannot be read.
    """
    times = times or GroupTimes()
    name, identity = settings.name(group), identity_of(settings, group, index)
    app = StageApp(
        name,
        broker=[f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")],
        broker_credentials=credentials(settings),
        broker_client_id=identity.client_id,
        # A member that comes back within the session timeout keeps its partitions: no rebalance on a quick restart.
        consumer_group_instance_id=identity.member,
        # Part of the assignment that the broker keeps for a static member, so it must not change from run to run.
        canonical_url=f"http://{identity.member}",
        datadir=identity.folder,
        autodiscover=False,
        Schema=BatchSchema,
        TableManager=PromptTableManager,
        key_serializer="raw",
        value_serializer="raw",
        store="rocksdb://",
        processing_guarantee="at_least_once",  # exactly_once has five open reports of loss, crashes and hangs
        agent_supervisor="mode.CrashingSupervisor",
        consumer_auto_offset_reset="none",  # nothing is passed over in silence: see `consumer_thread`
        consumer_max_fetch_size=FETCH_MAX_BYTES,
        broker_max_poll_records=4_000,
        broker_commit_interval=times.commit_interval,
        broker_session_timeout=times.session,
        broker_heartbeat_interval=times.heartbeat,
        broker_rebalance_timeout=times.rebalance,
        broker_request_timeout=max(times.request, times.session + 5),  # Faust checks it against the session timeout
        broker_max_poll_interval=times.max_poll_interval,
        stream_buffer_maxsize=QUEUED_BATCHES,
        stream_wait_empty=True,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,  # a worker has its own data folder; recovery reads a million rows in seconds
        topic_partitions=partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        web_enabled=False,
        web_tables_enabled=False,
        web_router_enabled=False,
        worker_redirect_stdouts=False,
        debug=False,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    return app


def credentials(settings: Settings) -> CredentialsT | None:
    """Return what Faust's consumer needs to authenticate, or None for plaintext.

    Raises SettingsError for an empty password file, OSError or ssl.SSLError for one that cannot be read or is no
    certificate.
    """
    protocol = settings.kafka_security_protocol
    context = tls_context(settings) if protocol.endswith("SSL") else None
    renewed_login.install()
    if (provider := aiokafka_login(settings)) is not None:
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if protocol.startswith("SASL_"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=client_config(settings)["sasl.password"],
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context=context)


def _place(error: BaseException) -> str:
    """File, line and function that raised, without the exception's text, which may quote an event."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames[-3:])) or "unknown"
