"""The part of the metrics table that says what is in force, what is near its end, and how far all stages are.

These are read a few times a minute, by threads of their own or as a page is made. An event costs nothing here. A gauge
that nobody has read yet has no series, for a zero would say something.
"""

from functools import partial
from typing import Final

from agents.hot_symbols.watch.answer_kind import AnswerKind
from app.telemetry.metric import STAGE, TOPIC, BufferPlace, Label, Metric, MetricKind, Process
from schemas.probes import AgentAnswer, PolicyState, SeenHookState

_ANSWERS: Final = tuple(answer.value for answer in AgentAnswer if answer is not AgentAnswer.UNKNOWN)

_gauge: Final = partial(Metric, kind=MetricKind.GAUGE, is_zero_at_start=False)

BUILD_INFO: Final = _gauge(
    name="runtime_build_info",
    process=Process.ANY,
    unit="bool",
    help="1 for the version of the program, and for the commit that it was built from.",
    bad="Two versions for longer than an upgrade takes.",
    labels=(Label(name="version", limit=1), Label(name="commit", limit=1)),
)
DEPLOYMENT_INFO: Final = _gauge(
    name="runtime_deployment_info",
    process=Process.ANY,
    unit="bool",
    help="1 for the topic prefix of this process, which tells pipelines on one Kafka apart; `none` if it has none.",
    bad="Processes of one pipeline with two prefixes: they do not see each other's topics.",
    labels=(Label(name="prefix", limit=1),),
)
READY: Final = _gauge(
    name="runtime_ready",
    process=Process.ANY,
    unit="bool",
    help="1 for each check of /readyz that finds nothing wrong.",
    bad="0 for minutes: the process does not do its job. /readyz says why in a sentence.",
    labels=(Label(name="check", limit=32),),
)
REGISTRY_UP: Final = _gauge(
    name="runtime_registry_up",
    process=Process.ANY,
    unit="bool",
    help="1 if the schema registry answered lately and has our schemas.",
    bad="0: a process that starts now does not come up, and a new schema cannot be read.",
)
CERTIFICATE_END: Final = _gauge(
    name="runtime_certificate_not_after_timestamp_seconds",
    process=Process.ANY,
    unit="seconds",
    help="When the first certificate in a file ends, Unix time, by the setting that names it; 0: cannot be read.",
    bad="Less than two weeks ahead: renew it. Connections fail when it is over.",
    labels=(Label(name="certificate", limit=32),),
)
SPILL_FREE: Final = _gauge(
    name="runtime_spill_disk_free_bytes",
    process=Process.INGEST,
    unit="bytes",
    help="Bytes that are free for us on the disk of the spill folder.",
    bad="Less than what the spill folder may still take: events are lost when Kafka is away.",
)
BUFFER_LIMIT: Final = _gauge(
    name="runtime_buffer_limit_bytes",
    process=Process.INGEST,
    unit="bytes",
    help="Most bytes of events that may wait in memory and on disk, as the settings say.",
    bad="Not bad in itself; runtime_bytes_buffered near it is.",
    labels=(Label(name="place", values=(BufferPlace.MEMORY, BufferPlace.DISK)),),
)
RECEIPT_DELAY: Final = _gauge(
    name="runtime_event_receipt_delay_seconds",
    process=Process.INGEST,
    unit="seconds",
    help="From the own time of an event to its receipt, for one event a second.",
    bad="More than seconds: Tetragon sends late, or the clocks of agent and ingest differ.",
)
POLICIES_TOLD: Final = _gauge(
    name="runtime_tracing_policies_told_timestamp_seconds",
    process=Process.INGEST,
    unit="seconds",
    help="When the agent last answered what tracing policies it has, or that it does not tell, Unix time.",
    bad="Minutes old while events come: no answer to a watch gets firmer by hooks of this node.",
)
POLICIES_ANSWER: Final = _gauge(
    name="runtime_tracing_policies_answer",
    process=Process.INGEST,
    unit="bool",
    help="1 for how the agent last answered that question.",
    bad="Unimplemented: the agent is too old. Refused: it does not let ingest ask.",
    labels=(Label(name="answer", values=_ANSWERS),),
)
TRACING_POLICIES: Final = _gauge(
    name="runtime_tracing_policies",
    process=Process.INGEST,
    unit="policies",
    help="Tracing policies that the agent has, by the state that it gives them.",
    bad="LoadError or Error: what they hook is not reported.",
    labels=(Label(name="state", values=tuple(state.value for state in PolicyState)),),
)
POLICY_HOOKS: Final = _gauge(
    name="runtime_tracing_policy_hooks",
    process=Process.INGEST,
    unit="hooks",
    help="Hooks of all policies, as far as the agent tells of them, by state.",
    bad="Any that is not Loaded: calls of what it is on are not reported by it.",
    labels=(Label(name="state", values=tuple(state.value for state in SeenHookState)),),
)
POSTS_BALANCE: Final = _gauge(
    name="runtime_policy_posts_balance_events",
    process=Process.INGEST,
    unit="events",
    help="What tracing policies posted in the kernel, less what came of it and what the agent says that it lost.",
    bad="Above 0 for minutes: events are lost where nobody counts them; a gap says so (Unexplained).",
)
EVENT_AGE: Final = Metric(
    name="runtime_event_age_seconds",
    process=Process.STAGE,
    kind=MetricKind.HISTOGRAM,
    unit="seconds",
    help="At each commit and partition of its source: the time since ingest received the last event that is done.",
    bad="A 99th percentile of minutes: consumers see events so late.",
    bounds=(0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0),
)
GROUP_LAG: Final = _gauge(
    name="runtime_group_lag_records",
    process=Process.STAGE,
    unit="records",
    help="Records that a stage has not committed, by stage and source. Every stage shows those of all: take a maximum.",
    bad="Growing: the stage is slow, or not there.",
    labels=(STAGE, TOPIC),
)
GROUP_LAG_SECONDS: Final = _gauge(
    name="runtime_group_lag_seconds",
    process=Process.STAGE,
    unit="seconds",
    help="Time since the receipt of the oldest record that a stage has not committed; 0 if none waits. Take a maximum.",
    bad="More than minutes: results are so late.",
    labels=(STAGE, TOPIC),
)
POLICY_INFO: Final = _gauge(
    name="runtime_privacy_policy_info",
    process=Process.STAGE,
    unit="bool",
    help="1 for the id of the privacy policy that is in force in this process.",
    bad="Two ids for longer than a reload takes: workers publish under different policies.",
    labels=(Label(name="policy_id"),),
)
SYMBOLS_INFO: Final = _gauge(
    name="runtime_symbol_snapshot_info",
    process=Process.STAGE,
    unit="bool",
    help="1 for the snapshot of the symbol store that frames get their names from.",
    bad="Not the newest that `callstream symbols list` shows: restart canonicalize.",
    labels=(Label(name="snapshot"),),
)
WATCH_ANSWERS: Final = _gauge(
    name="runtime_watch_answers",
    process=Process.STAGE,
    unit="watches",
    help="Watches by answer, all of them in each hot-symbols worker: take a maximum.",
    bad="More of Hit: a watched function ran. `callstream hot-symbols --watched` says which.",
    labels=(Label(name="answer", values=tuple(kind.value for kind in AnswerKind)),),
)
WATCH_LAST_HIT: Final = _gauge(
    name="runtime_watch_last_hit_timestamp_seconds",
    process=Process.STAGE,
    unit="seconds",
    help="When a watched function last ran, Unix time; 0 if none ever did.",
    bad="Near the present: a watched function runs.",
)
LETTERS_OPEN: Final = _gauge(
    name="runtime_dead_letters_open",
    process=Process.STAGE,
    unit="events",
    help="Refused events that were not sent again, all of them in each hot-symbols worker: take a maximum.",
    bad="Any for days: find the reason, then `callstream dead-letters retry`, before retention takes the raw events.",
)

STATE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""This part of the table, in the order above."""
