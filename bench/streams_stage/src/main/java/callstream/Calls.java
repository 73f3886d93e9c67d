package callstream;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import com.google.protobuf.UInt32Value;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificDatumWriter;
import tetragon.Arguments.KprobeArgument;
import tetragon.Events.GetEventsResponse;
import tetragon.Events.ProcessKprobe;
import tetragon.Events.StackTraceEntry;
import tetragon.ProcessOuterClass.Pod;
import tetragon.ProcessOuterClass.Process;

/** Makes calls of raw events. It is for one thread; what it holds is used again. */
final class Calls {
    /** Stands for the registry's: a zero byte and the schema's id. */
    private static final byte[] HEADER = {0, 0, 0, 0, 1};

    private final SpecificDatumWriter<RuntimeCallEvent> writer = new SpecificDatumWriter<>(RuntimeCallEvent.class);
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(4096);
    private final MessageDigest digest;
    private BinaryEncoder encoder;

    Calls() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error);
        }
    }

    /** The call of a raw event in the registry's wire format. */
    byte[] value(byte[] raw, int partition, long offset) {
        try {
            RuntimeCallEvent call = callOf(GetEventsResponse.parseFrom(raw), raw, partition, offset);
            bytes.reset();
            bytes.write(HEADER);
            encoder = EncoderFactory.get().directBinaryEncoder(bytes, encoder);
            writer.write(call, encoder);
            encoder.flush();
            return bytes.toByteArray();
        } catch (InvalidProtocolBufferException error) {
            throw new IllegalArgumentException(error);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private RuntimeCallEvent callOf(GetEventsResponse event, byte[] raw, int partition, long offset) {
        RuntimeCallEvent call = new RuntimeCallEvent();
        call.setEventId(HexFormat.of().formatHex(digest.digest(raw), 0, 16));
        call.setTimestampNs(nanoseconds(event.getTime()));
        call.setProbeType(ProbeType.Unknown);
        call.setStackFrames(List.of());
        call.setCallArguments(List.of());
        call.setCallData(List.of());
        call.setTags(List.of());
        call.setAncestors(List.of());
        call.setNodeName(text(event.getNodeName()));
        call.setClusterName(text(event.getClusterName()));
        call.setTimestampSource(TimestampSource.Event);
        call.setSyscall("");
        call.setRedaction(new Redaction("", Map.of()));
        call.setSource(new SourcePosition(partition, offset));
        call.setProcess(processOf(Process.getDefaultInstance()));
        switch (event.getEventCase()) {
            case PROCESS_EXEC -> {
                var exec = event.getProcessExec();
                call.setProbeType(ProbeType.ProcessExec);
                who(call, exec.getProcess(), exec.hasParent() ? exec.getParent() : null, exec.getAncestorsList());
            }
            case PROCESS_EXIT -> {
                var exit = event.getProcessExit();
                call.setProbeType(ProbeType.ProcessExit);
                who(call, exit.getProcess(), exit.hasParent() ? exit.getParent() : null, exit.getAncestorsList());
                call.setExitSignal(text(exit.getSignal()));
                call.setExitStatus(Integer.toUnsignedLong(exit.getStatus()));
            }
            case PROCESS_KPROBE -> kprobe(call, event.getProcessKprobe());
            case PROCESS_TRACEPOINT -> {
                var probe = event.getProcessTracepoint();
                call.setProbeType(ProbeType.Tracepoint);
                call.setSyscall(probe.getSubsys() + "/" + probe.getEvent());
                who(call, probe.getProcess(), probe.hasParent() ? probe.getParent() : null, probe.getAncestorsList());
                what(call, probe.getPolicyName(), probe.getMessage(), probe.getTagsList(), probe.getAction().name());
                call.setCallArguments(arguments(probe.getArgsList()));
            }
            case PROCESS_UPROBE -> {
                var probe = event.getProcessUprobe();
                call.setProbeType(ProbeType.Uprobe);
                call.setSyscall(probe.getSymbol());
                call.setProbeTarget(
                        new ProbeTarget(probe.getPath(), probe.getSymbol(), probe.getOffset(), OffsetBasis.Symbol, null));
                who(call, probe.getProcess(), probe.hasParent() ? probe.getParent() : null, probe.getAncestorsList());
                what(call, probe.getPolicyName(), probe.getMessage(), probe.getTagsList(), probe.getAction().name());
                call.setCallArguments(arguments(probe.getArgsList()));
                call.setCallData(arguments(probe.getDataList()));
            }
            case PROCESS_LSM -> {
                var probe = event.getProcessLsm();
                call.setProbeType(ProbeType.Lsm);
                call.setSyscall(probe.getFunctionName());
                who(call, probe.getProcess(), probe.hasParent() ? probe.getParent() : null, probe.getAncestorsList());
                what(call, probe.getPolicyName(), probe.getMessage(), probe.getTagsList(), probe.getAction().name());
                call.setCallArguments(arguments(probe.getArgsList()));
            }
            case PROCESS_USDT -> {
                var probe = event.getProcessUsdt();
                call.setProbeType(ProbeType.USDT);
                call.setSyscall(probe.getProvider() + ":" + probe.getName());
                who(call, probe.getProcess(), probe.hasParent() ? probe.getParent() : null, probe.getAncestorsList());
                what(call, probe.getPolicyName(), probe.getMessage(), probe.getTagsList(), probe.getAction().name());
                call.setCallArguments(arguments(probe.getArgsList()));
            }
            default -> { }
        }
        return call;
    }

    private static void kprobe(RuntimeCallEvent call, ProcessKprobe probe) {
        call.setProbeType(probe.hasReturn() ? ProbeType.Kretprobe : ProbeType.Kprobe);
        call.setSyscall(probe.getFunctionName());
        call.setReturnAction(text(probe.getReturnAction().name()));
        who(call, probe.getProcess(), probe.hasParent() ? probe.getParent() : null, probe.getAncestorsList());
        what(call, probe.getPolicyName(), probe.getMessage(), probe.getTagsList(), probe.getAction().name());
        call.setCallArguments(arguments(probe.getArgsList()));
        call.setCallData(arguments(probe.getDataList()));
        if (probe.hasReturn()) {
            call.setReturnValue(argument(probe.getReturn()));
        }
        List<CanonicalStackFrame> frames = new ArrayList<>();
        for (StackTraceEntry entry : probe.getKernelStackTraceList()) {
            frames.add(new CanonicalStackFrame("kernel", entry.getSymbol(), entry.getOffset(), true, null, null, null,
                    OffsetBasis.Symbol, FrameResolution.Kernel, null));
        }
        for (StackTraceEntry entry : probe.getUserStackTraceList()) {
            frames.add(new CanonicalStackFrame(entry.getModule(), "", entry.getOffset(), false, null, null, null,
                    OffsetBasis.Module, FrameResolution.HintOnly, text(entry.getSymbol())));
        }
        call.setStackFrames(frames);
    }

    private static void who(RuntimeCallEvent call, Process own, Process parent, List<Process> ancestors) {
        call.setProcess(processOf(own));
        if (own.hasTid()) {
            call.setThread(new ThreadInfo(wide(own.getTid())));
        }
        if (own.hasPod()) {
            Pod pod = own.getPod();
            call.setPodName(text(pod.getName()));
            call.setNamespace(text(pod.getNamespace()));
            call.setWorkload(text(pod.getWorkload()));
            call.setWorkloadKind(text(pod.getWorkloadKind()));
            call.setContainerId(text(pod.getContainer().getId()));
            call.setContainerName(text(pod.getContainer().getName()));
            call.setImageId(text(pod.getContainer().getImage().getId()));
            call.setImageName(text(pod.getContainer().getImage().getName()));
        }
        if (parent != null) {
            call.setParent(processOf(parent));
        }
        if (!ancestors.isEmpty()) {
            call.setAncestors(ancestors.stream().map(Calls::processOf).toList());
        }
    }

    private static void what(RuntimeCallEvent call, String policy, String message, List<String> tags, String action) {
        call.setPolicyName(text(policy));
        call.setMessage(text(message));
        call.setTags(tags);
        call.setAction(text(action));
    }

    private static ProcessInfo processOf(Process found) {
        return new ProcessInfo(
                found.getExecId(),
                text(found.getParentExecId()),
                found.hasPid() ? wide(found.getPid()) : null,
                found.hasUid() ? wide(found.getUid()) : null,
                text(found.getBinary()),
                text(found.getArguments()),
                text(found.getCwd()),
                nanoseconds(found.getStartTime()),
                found.hasAuid() ? wide(found.getAuid()) : null,
                text(found.getUser().getName()),
                text(found.getFlags()));
    }

    private static List<CallArgument> arguments(List<KprobeArgument> found) {
        List<CallArgument> made = new ArrayList<>(found.size());
        for (KprobeArgument one : found) {
            made.add(argument(one));
        }
        return made;
    }

    /** The kinds that are frequent, as text; of all others only the label. */
    private static CallArgument argument(KprobeArgument one) {
        String label = text(one.getLabel());
        return switch (one.getArgCase()) {
            case STRING_ARG -> new CallArgument(label, "string", one.getStringArg());
            case INT_ARG -> new CallArgument(label, "int", Integer.toString(one.getIntArg()));
            case LONG_ARG -> new CallArgument(label, "long", Long.toString(one.getLongArg()));
            case SIZE_ARG -> new CallArgument(label, "size", Long.toString(one.getSizeArg()));
            case PATH_ARG -> new CallArgument(label, "path", one.getPathArg().getPath());
            case FILE_ARG -> new CallArgument(label, "file", one.getFileArg().getPath());
            case SOCK_ARG -> {
                var sock = one.getSockArg();
                yield new CallArgument(label, "sock", sock.getSaddr() + ":" + sock.getSport() + " " + sock.getDaddr()
                        + ":" + sock.getDport());
            }
            default -> new CallArgument(label, "other", null);
        };
    }

    private static String text(String value) {
        return value.isEmpty() ? null : value;
    }

    /** Java has no unsigned int: the user id that stands for none would be -1. */
    private static Long wide(UInt32Value value) {
        return Integer.toUnsignedLong(value.getValue());
    }

    private static long nanoseconds(Timestamp moment) {
        return moment.getSeconds() * 1_000_000_000L + moment.getNanos();
    }
}
