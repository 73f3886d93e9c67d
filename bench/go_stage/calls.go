package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"callstream.bench/go-stage/tetragon"
)

// The records of the schema of calls, with the fields in its order.

type frame struct {
	Module      string  `avro:"module"`
	Symbol      string  `avro:"symbol"`
	Offset      int64   `avro:"offset"`
	IsKernel    bool    `avro:"is_kernel_space"`
	SourceFile  *string `avro:"source_file"`
	LineNumber  *int    `avro:"line_number"`
	BuildID     *string `avro:"build_id"`
	OffsetBasis string  `avro:"offset_basis"`
	Resolution  string  `avro:"resolution"`
	SymbolHint  *string `avro:"symbol_hint"`
}

type process struct {
	ProcessID   string  `avro:"process_id"`
	ParentID    *string `avro:"parent_process_id"`
	PID         *int64  `avro:"pid"`
	UID         *int64  `avro:"uid"`
	Binary      *string `avro:"binary"`
	Arguments   *string `avro:"arguments"`
	Cwd         *string `avro:"cwd"`
	StartTimeNs *int64  `avro:"start_time_ns"`
	AUID        *int64  `avro:"auid"`
	User        *string `avro:"user"`
	Flags       *string `avro:"flags"`
}

type target struct {
	Module      string  `avro:"module"`
	Symbol      string  `avro:"symbol"`
	Offset      int64   `avro:"offset"`
	OffsetBasis string  `avro:"offset_basis"`
	BuildID     *string `avro:"build_id"`
}

type thread struct {
	TID int64 `avro:"tid"`
}

type argument struct {
	Label *string `avro:"label"`
	Type  string  `avro:"type"`
	Value *string `avro:"value"`
}

type redaction struct {
	PolicyID string         `avro:"policy_id"`
	Counts   map[string]int `avro:"counts"`
}

type source struct {
	Partition int32 `avro:"partition"`
	Offset    int64 `avro:"offset"`
}

type call struct {
	EventID         string     `avro:"event_id"`
	TimestampNs     int64      `avro:"timestamp_ns"`
	ProbeType       string     `avro:"probe_type"`
	StackFrames     []frame    `avro:"stack_frames"`
	SymbolSnapshot  *string    `avro:"symbol_snapshot"`
	ContainerID     *string    `avro:"container_id"`
	PodName         *string    `avro:"pod_name"`
	Namespace       *string    `avro:"namespace"`
	ContainerName   *string    `avro:"container_name"`
	ImageID         *string    `avro:"image_id"`
	ImageName       *string    `avro:"image_name"`
	Workload        *string    `avro:"workload"`
	WorkloadKind    *string    `avro:"workload_kind"`
	ProbeTarget     *target    `avro:"probe_target"`
	Process         process    `avro:"process"`
	Parent          *process   `avro:"parent"`
	NodeName        *string    `avro:"node_name"`
	ClusterName     *string    `avro:"cluster_name"`
	ExitSignal      *string    `avro:"exit_signal"`
	ExitStatus      *int64     `avro:"exit_status"`
	Ancestors       []process  `avro:"ancestors"`
	Thread          *thread    `avro:"thread"`
	TimestampSource string     `avro:"timestamp_source"`
	Syscall         string     `avro:"syscall"`
	Action          *string    `avro:"action"`
	ReturnAction    *string    `avro:"return_action"`
	PolicyName      *string    `avro:"policy_name"`
	Message         *string    `avro:"message"`
	Tags            []string   `avro:"tags"`
	CallArguments   []argument `avro:"call_arguments"`
	CallData        []argument `avro:"call_data"`
	ReturnValue     *argument  `avro:"return_value"`
	Redaction       redaction  `avro:"redaction"`
	Source          source     `avro:"source"`
}

// header stands for the registry's: a zero byte and the schema's id.
var header = []byte{0, 0, 0, 0, 1}

// encoder makes a call's bytes of a raw event's. It is for one goroutine; what it holds is used again.
type encoder struct {
	schema avro.Schema
	writer *avro.Writer
	event  tetragon.GetEventsResponse
	call   call
}

func newEncoder(schema avro.Schema) *encoder {
	return &encoder{schema: schema, writer: avro.NewWriter(nil, 4096)}
}

// value gives the call of a raw record in the registry's wire format.
func (e *encoder) value(raw *kgo.Record) ([]byte, error) {
	proto.Reset(&e.event)
	if err := proto.Unmarshal(raw.Value, &e.event); err != nil {
		return nil, err
	}
	e.fill(raw)
	e.writer.Reset(nil)
	_, _ = e.writer.Write(header) // of a writer without a sink: it only appends
	e.writer.WriteVal(e.schema, &e.call)
	if e.writer.Error != nil {
		return nil, e.writer.Error
	}
	return append([]byte(nil), e.writer.Buffer()...), nil
}

// fill makes the call of the event that was decoded last.
func (e *encoder) fill(raw *kgo.Record) {
	c, event := &e.call, &e.event
	digest := sha256.Sum256(raw.Value)
	*c = call{
		EventID:         hex.EncodeToString(digest[:16]),
		TimestampNs:     nanoseconds(event.GetTime()),
		ProbeType:       "Unknown",
		StackFrames:     c.StackFrames[:0],
		CallArguments:   c.CallArguments[:0],
		CallData:        c.CallData[:0],
		Ancestors:       c.Ancestors[:0],
		NodeName:        text(event.NodeName),
		ClusterName:     text(event.ClusterName),
		TimestampSource: "Event",
		Source:          source{raw.Partition, raw.Offset},
	}
	switch event := event.Event.(type) {
	case *tetragon.GetEventsResponse_ProcessExec:
		c.ProbeType = "ProcessExec"
		c.who(event.ProcessExec)
	case *tetragon.GetEventsResponse_ProcessExit:
		c.ProbeType = "ProcessExit"
		c.who(event.ProcessExit)
		c.ExitSignal, c.ExitStatus = text(event.ProcessExit.Signal), number(int64(event.ProcessExit.Status))
	case *tetragon.GetEventsResponse_ProcessKprobe:
		probe := event.ProcessKprobe
		c.ProbeType, c.Syscall, c.ReturnAction = "Kprobe", probe.FunctionName, text(probe.ReturnAction.String())
		c.who(probe)
		c.what(probe)
		c.frames(probe.KernelStackTrace, true)
		c.frames(probe.UserStackTrace, false)
		c.CallData = arguments(c.CallData, probe.Data)
		if probe.Return != nil {
			c.ProbeType = "Kretprobe"
			c.ReturnValue = &arguments(nil, []*tetragon.KprobeArgument{probe.Return})[0]
		}
	case *tetragon.GetEventsResponse_ProcessTracepoint:
		probe := event.ProcessTracepoint
		c.ProbeType, c.Syscall = "Tracepoint", probe.Subsys+"/"+probe.Event
		c.who(probe)
		c.what(probe)
	case *tetragon.GetEventsResponse_ProcessUprobe:
		probe := event.ProcessUprobe
		c.ProbeType, c.Syscall = "Uprobe", probe.Symbol
		c.ProbeTarget = &target{probe.Path, probe.Symbol, int64(probe.Offset), "Symbol", nil}
		c.who(probe)
		c.what(probe)
		c.CallData = arguments(c.CallData, probe.Data)
	case *tetragon.GetEventsResponse_ProcessLsm:
		probe := event.ProcessLsm
		c.ProbeType, c.Syscall = "Lsm", probe.FunctionName
		c.who(probe)
		c.what(probe)
	case *tetragon.GetEventsResponse_ProcessUsdt:
		probe := event.ProcessUsdt
		c.ProbeType, c.Syscall = "USDT", probe.Provider+":"+probe.Name
		c.who(probe)
		c.what(probe)
	}
}

// subject is an event that names its processes.
type subject interface {
	GetProcess() *tetragon.Process
	GetParent() *tetragon.Process
	GetAncestors() []*tetragon.Process
}

// probed is an event of a probe.
type probed interface {
	GetPolicyName() string
	GetMessage() string
	GetTags() []string
	GetAction() tetragon.KprobeAction
	GetArgs() []*tetragon.KprobeArgument
}

func (c *call) who(event subject) {
	own := event.GetProcess()
	c.Process = processOf(own)
	if tid := own.GetTid(); tid != nil {
		c.Thread = &thread{int64(tid.Value)}
	}
	if pod := own.GetPod(); pod != nil {
		c.PodName, c.Namespace = text(pod.Name), text(pod.Namespace)
		c.Workload, c.WorkloadKind = text(pod.Workload), text(pod.WorkloadKind)
		if container := pod.Container; container != nil {
			c.ContainerID, c.ContainerName = text(container.Id), text(container.Name)
			c.ImageID, c.ImageName = text(container.GetImage().GetId()), text(container.GetImage().GetName())
		}
	}
	if parent := event.GetParent(); parent != nil {
		found := processOf(parent)
		c.Parent = &found
	}
	for _, ancestor := range event.GetAncestors() {
		c.Ancestors = append(c.Ancestors, processOf(ancestor))
	}
}

func (c *call) what(event probed) {
	c.PolicyName, c.Message, c.Tags = text(event.GetPolicyName()), text(event.GetMessage()), event.GetTags()
	c.Action = text(event.GetAction().String())
	c.CallArguments = arguments(c.CallArguments, event.GetArgs())
}

func (c *call) frames(entries []*tetragon.StackTraceEntry, kernel bool) {
	for _, entry := range entries {
		one := frame{
			Module: entry.Module, Offset: int64(entry.Offset), OffsetBasis: "Module", Resolution: "HintOnly",
			SymbolHint: text(entry.Symbol),
		}
		if kernel {
			one.Module, one.Symbol, one.IsKernel = "kernel", entry.Symbol, true
			one.OffsetBasis, one.Resolution, one.SymbolHint = "Symbol", "Kernel", nil
		}
		c.StackFrames = append(c.StackFrames, one)
	}
}

func processOf(found *tetragon.Process) process {
	return process{
		ProcessID:   found.GetExecId(),
		ParentID:    text(found.GetParentExecId()),
		PID:         wide(found.GetPid()),
		UID:         wide(found.GetUid()),
		Binary:      text(found.GetBinary()),
		Arguments:   text(found.GetArguments()),
		Cwd:         text(found.GetCwd()),
		StartTimeNs: number(nanoseconds(found.GetStartTime())),
		AUID:        wide(found.GetAuid()),
		User:        text(found.GetUser().GetName()),
		Flags:       text(found.GetFlags()),
	}
}

// arguments appends the kinds that are frequent, as text; of all others only the label.
func arguments(to []argument, found []*tetragon.KprobeArgument) []argument {
	for _, one := range found {
		made := argument{Label: text(one.Label), Type: "other"}
		switch value := one.Arg.(type) {
		case *tetragon.KprobeArgument_StringArg:
			made.Type, made.Value = "string", &value.StringArg
		case *tetragon.KprobeArgument_IntArg:
			made.Type, made.Value = "int", digits(int64(value.IntArg))
		case *tetragon.KprobeArgument_LongArg:
			made.Type, made.Value = "long", digits(value.LongArg)
		case *tetragon.KprobeArgument_SizeArg:
			made.Type, made.Value = "size", digits(int64(value.SizeArg))
		case *tetragon.KprobeArgument_PathArg:
			made.Type, made.Value = "path", &value.PathArg.Path
		case *tetragon.KprobeArgument_FileArg:
			made.Type, made.Value = "file", &value.FileArg.Path
		case *tetragon.KprobeArgument_SockArg:
			sock := value.SockArg
			ends := sock.Saddr + ":" + strconv.Itoa(int(sock.Sport)) + " " + sock.Daddr + ":" + strconv.Itoa(int(sock.Dport))
			made.Type, made.Value = "sock", &ends
		}
		to = append(to, made)
	}
	return to
}

func text(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

func number(value int64) *int64 { return &value }

func digits(value int64) *string {
	found := strconv.FormatInt(value, 10)
	return &found
}

func wide(value *wrapperspb.UInt32Value) *int64 {
	if value == nil {
		return nil
	}
	return number(int64(value.Value))
}

func nanoseconds(moment *timestamppb.Timestamp) int64 {
	return moment.GetSeconds()*1_000_000_000 + int64(moment.GetNanos())
}
