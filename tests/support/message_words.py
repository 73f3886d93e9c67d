"""What the messages of `operator_messages` come from, and what to do, in groups as whoever reads them sees them.

Each kind is in one group. A new class of error gets its words here, or a test fails.
"""

from dataclasses import dataclass
from typing import Final

from app.processes.process_end import ExitCode
from tests.support.operator_messages import BESIDE, BOOKS, DOCTOR, OPTIONS, TLS


@dataclass(frozen=True, slots=True)
class MessageGroup:
    """A heading, the kinds under it, and their cause and cure."""

    title: str
    kinds: tuple[str, ...]
    cause: str
    cure: str


def _ending(code: ExitCode, cause: str, cure: str) -> MessageGroup:
    return MessageGroup(f"A stage ended with {int(code)}", (code.name,), cause, cure)


GROUPS: Final = (
    MessageGroup(
        "A command refuses what was typed",
        (OPTIONS,),
        "An option is missing, or two of them exclude each other, or a value has another form.",
        "The message says what to write. `callstream COMMAND --help` has examples.",
    ),
    MessageGroup(
        "A position or a time is refused",
        ("PositionError", "UnknownFormError"),
        "`--from`, `--to` and the like take an offset, a time, or an age, and the topic must have it.",
        "Write one of the forms that the message lists. `callstream topics list` shows what a topic has.",
    ),
    MessageGroup(
        "A setting is wrong",
        ("SettingsError",),
        "A variable has a value that cannot be used, names a file that is not there, or contradicts another one. The "
        "line begins with its name.",
        "Correct it; all wrong ones are named at once. `callstream doctor --settings` lists what can be set.",
    ),
    MessageGroup(
        "What doctor finds",
        (DOCTOR,),
        "Something that works and that you want to know (`warn`), or that keeps a part from its work (`fail`).",
        "What stands behind the arrow. Doctor passes on the messages of the other groups, too.",
    ),
    MessageGroup(
        "The books do not balance",
        (BOOKS,),
        "Records are missing between two places, were deleted before a stage read them, or a topic was made again.",
        "The line names process, stage or topic. Records that were deleted early need more retention; "
        "[](runbooks/CallstreamRecordsSkipped.md). If nothing was deleted, report it.",
    ),
    MessageGroup(
        "A command says something beside its answer",
        (BESIDE,),
        "Nothing was found, or something could not be looked at. Many such commands end with 1, as their help says.",
        "Ask for something else, or repair what could not be looked at.",
    ),
    MessageGroup(
        "Kafka does not answer",
        ("KafkaUnreachableError",),
        "No broker listens at the address, the network keeps us from it, or it is overloaded.",
        "`callstream doctor kafka` says which. Processes try again by themselves; run a command once more.",
    ),
    MessageGroup(
        "Kafka refuses",
        ("KafkaUnusableError",),
        "The login is wrong, the user lacks a right, or a topic is missing.",
        "See [](kafka.md). `callstream topics allow --check deploy/kafka/acls.toml` compares the rights, `callstream "
        "topics apply` makes topics.",
    ),
    MessageGroup(
        "There is no token for the login",
        ("TokenError",),
        "The token endpoint, the token's file or the AWS role gives none.",
        "Look at the setting with which the message begins; [](kafka.md) shows each way to log in.",
    ),
    MessageGroup(
        "TLS fails",
        (TLS, "TlsError"),
        "One side speaks TLS and the other does not, a certificate ended or is of another name or CA, or a key is not "
        "that of its certificate.",
        "The message names the file or the setting. `callstream doctor settings` shows the days that certificates are "
        "still good.",
    ),
    MessageGroup(
        "The schema registry does not answer or refuses",
        ("RegistryError", "SchemasMissingError"),
        "It is away, its address lacks the path of its API, it does not know us, or nobody registered our schemas.",
        "`callstream doctor registry`, then `callstream topics apply`. See [](runbooks/CallstreamRegistryAway.md).",
    ),
    MessageGroup(
        "Tetragon cannot be used",
        ("TetragonUnusableError",),
        "Nothing listens at its address, something else does, or it refuses our certificate or our filters.",
        "`callstream doctor tetragon`. Ingest must run where the agent's socket or port can be reached.",
    ),
    MessageGroup(
        "A folder or an address is taken, or may not be served",
        ("FolderUnusableError", "HttpError", "QueryPortError", "ConsoleError", "IndexTakenError"),
        "Another process has it, this user may not write there, or no setting says who may ask.",
        "Stop the other one, or give each process a folder, a port and an index of its own.",
    ),
    MessageGroup(
        "A topic may lose what is written to it",
        ("TopicOptionsError",),
        "Somebody changed an option of the topic.",
        "Run what the message says, then start the process again.",
    ),
    MessageGroup(
        "A privacy policy, a hook map or a file of cases is refused",
        ("PrivacyConfigError", "PolicyHooksError", "CasesError"),
        "The file cannot be read, or a line of it means nothing.",
        "The message names file, line and rule. `callstream privacy policy --check FILE` only reads one.",
    ),
    MessageGroup(
        "Symbols cannot be read or added",
        ("SymbolStoreError", "TooManySymbolsError"),
        "The folder is not a symbol store, a file of it was changed or lost, or another process is writing.",
        "Correct `CALLSTREAM_SYMBOL_STORE_DIR`; restore a damaged file from a backup, or add the binaries again.",
    ),
    MessageGroup(
        "Records or files are damaged or gone",
        ("DamagedError", "DocumentError", "DifferentInputError"),
        "A file of an archive or a run was changed, or retention took the records.",
        "Take the file from where it was copied from. What cannot be restored is not evidence.",
    ),
    MessageGroup(
        "A key for signatures cannot be used",
        ("KeyFileError",),
        "The file holds another kind of key, or none.",
        "Name a file with the Ed25519 key in PEM.",
    ),
    MessageGroup(
        "A replay cannot be made",
        ("ReplayError",),
        "The folder is not empty, an archive, a symbol store or a topic is missing, or the books do not balance.",
        "What the message says. Books that do not balance are a fault in callstream: report it.",
    ),
    MessageGroup(
        "A reprocessing cannot be made",
        ("ReprocessError",),
        "The version exists and was made by something else, or a topic or a schema of it is refused.",
        "Leave out `--version` to make the next one; see [](upgrade.md).",
    ),
    MessageGroup(
        "Refused events cannot be sent again now",
        ("RetryRunningError",),
        "Another `callstream dead-letters retry` runs, or this one stood still for too long.",
        "Wait for the other one, or run it again. Nothing is sent twice.",
    ),
    MessageGroup(
        "An audit, a trial of a policy or an export is refused",
        (
            "RestrictedTopicError",
            "ShadowInputError",
            "VexFileError",
            "PreviousVexError",
            "NoNamespaceError",
            "SymbolMapError",
        ),
        "The topic holds private data by design, there is nothing to try a policy on, or a file cannot be read.",
        "Audit a topic that others read; correct the file or the option that the message names.",
    ),
    MessageGroup(
        "Facts of one file cannot be told",
        ("SharedBuildIdError",),
        "Several files have one build id, such as a program and its stripped copy, and events say the build id only.",
        "Take the image as subject: `callstream export --format runtime-facts --subject sha256:HEX`, or `--by-image`.",
    ),
    MessageGroup(
        "Vulnerabilities cannot be looked up",
        ("DatabaseFolderError", "PolicyFileError"),
        "The folder of databases or a file of a policy is missing, damaged, or may not be written.",
        "Correct the setting or the path that the message names; `callstream vulnerabilities --help` begins with load.",
    ),
    MessageGroup(
        "A file of rights is refused",
        ("AccessFileError",),
        "A user or a topic in it means nothing.",
        "The message names the file and the user; `deploy/kafka/acls.toml` is an example.",
    ),
    MessageGroup(
        "Kubernetes does not answer or refuses",
        ("KubernetesError", "KubernetesAwayError", "KubernetesRefusedError", "NodeRowsError"),
        "The command runs outside of a pod, the service account lacks a right, or the API is away.",
        "See [](nodes.md) for the rights. `callstream nodes follow` tries again by itself where that helps.",
    ),
    MessageGroup(
        "The broker or the simulator of a try-out does not start",
        (
            "EmbeddedError",
            "CommandFailedError",
            "AddressError",
            "EventFileError",
            "RecordingTooLargeError",
            "NoBinariesError",
        ),
        "Java, Maven, memory, disk or a free port is missing, or a file of events cannot be read.",
        "What the message says; [](first-hour.md) lists what a try-out needs.",
    ),
    _ending(
        ExitCode.UNAVAILABLE,
        "Kafka or the registry is away.",
        "Nothing: it is started again until they are back. `callstream doctor kafka registry` says what is wrong.",
    ),
    _ending(
        ExitCode.BROKEN_STEP,
        "A fault in the program.",
        "Report it with the log line. It starts again by itself; if it does not get on, go back to the version before.",
    ),
    _ending(
        ExitCode.STATE_UNUSABLE, "The state folder is in use, or its disk refuses.", "Make room; see the log line."
    ),
    _ending(
        ExitCode.DELIVERY_FAILED,
        "Kafka refused a record for good.",
        "The line names topic and reason; mostly a limit of size or a right. See [](kafka.md).",
    ),
    _ending(
        ExitCode.NO_PROGRESS,
        "Records wait, and nothing was committed for minutes.",
        "It starts again by itself. If it stands still at the same place: [](runbooks/CallstreamStageStuck.md).",
    ),
    _ending(
        ExitCode.DRAIN_OVERDUE,
        "Work in progress did not end in time for a stop or a rebalance; it is done again.",
        "Nothing to do once. If it repeats, Kafka is slow: [](runbooks/CallstreamKafkaSlow.md).",
    ),
    _ending(ExitCode.FRAMEWORK_CRASHED, "A fault in the program or in Faust.", "Report it with the log line."),
    _ending(
        ExitCode.WRONG_STATE,
        "Topics, groups and local state contradict each other; a restart does not help.",
        "Read the line before you delete anything. It says what to reset; [](upgrade.md) says in which order.",
    ),
    _ending(ExitCode.STATE_DAMAGED, "Local state was damaged.", "Nothing: it is made again at the next start."),
    _ending(
        ExitCode.TOO_MANY_REFUSED,
        "More records were refused than `CALLSTREAM_DEAD_LETTER_MAX_PERCENT` allows.",
        "`callstream dead-letters list` says why; after a change of version go back.",
    ),
    _ending(ExitCode.INDEX_TAKEN, "Two workers have one name.", "Name the hosts apart, or leave out `--index`."),
    _ending(
        ExitCode.SENDS_AGAIN,
        "The group takes a partition away each time before its work is committed.",
        "See [](runbooks/CallstreamWorkersComeAndGo.md).",
    ),
    _ending(
        ExitCode.FOREIGN_RECORD,
        "Another program wrote on a topic that only the stage may write.",
        "The line names topic, partition, offset and cure. `callstream doctor kafka` names who may write there.",
    ),
    _ending(ExitCode.FILE_DAMAGED, "A file of the symbol store is damaged or gone.", "Restore it, then restart."),
)
"""In the order of the page."""
