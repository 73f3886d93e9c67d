// Command read-calls reads runtime.calls, each call once, and prints a line for each: event id, raw partition, raw
// offset, probe, program.
//
// A call that comes again has a raw offset that is not above the highest one of its partition. That number is stored
// beside the committed position, so it is there again after a restart.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const mark = "raw="

// call has the fields that this program uses; all others of the schema are skipped.
type call struct {
	EventID   string `avro:"event_id"`
	ProbeType string `avro:"probe_type"`
	Process   struct {
		Binary *string `avro:"binary"`
	} `avro:"process"`
	Source struct {
		Partition int32 `avro:"partition"`
		Offset    int64 `avro:"offset"`
	} `avro:"source"`
}

type reader struct {
	client  *kgo.Client
	group   string
	topic   string
	schemas *schemas

	mutex   sync.Mutex // partitions are assigned and taken away on goroutines of the client
	highest map[int32]int64
	joined  bool
}

func main() {
	idle := time.Duration(1<<63 - 1)
	if len(os.Args) > 2 {
		seconds, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		idle = time.Duration(seconds) * time.Second
	}
	r, err := newReader(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer r.client.Close()
	if err := r.read(context.Background(), idle); err != nil {
		log.Fatal(err)
	}
}

func newReader(group string) (*reader, error) {
	r := &reader{
		group: group,
		topic: setting("CALLSTREAM_TOPIC_PREFIX", "") + "runtime.calls",
		schemas: &schemas{
			url:   strings.TrimRight(setting("CALLSTREAM_SCHEMA_REGISTRY_URL", "http://localhost:8081/apis/ccompat/v7"), "/"),
			known: map[uint32]avro.Schema{},
		},
		highest: map[int32]int64{},
	}
	var err error
	r.client, err = kgo.NewClient(
		kgo.SeedBrokers(strings.Split(setting("CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"), ",")...),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(r.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(r.assigned),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.revoked),
	)
	return r, err
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func (r *reader) read(ctx context.Context, idle time.Duration) error {
	heard := time.Now()
	for time.Since(heard) < idle {
		some, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := r.client.PollRecords(some, 1000)
		cancel()
		for _, failed := range fetches.Errors() {
			if !errors.Is(failed.Err, context.DeadlineExceeded) {
				log.Printf("partition %d: %v", failed.Partition, failed.Err)
			}
		}
		records := fetches.Records()
		if len(records) > 0 || !r.isMember() {
			heard = time.Now()
		}
		for _, record := range records {
			if err := r.take(record); err != nil {
				log.Printf("partition %d, offset %d is no call: %v", record.Partition, record.Offset, err)
			}
		}
		if len(records) > 0 { // after the work: what is not committed comes again
			if err := r.client.CommitRecords(kgo.PreCommitFnContext(ctx, r.addMarks), records...); err != nil {
				log.Printf("positions were not stored, their records come again: %v", err)
			}
		}
		r.client.AllowRebalance()
	}
	return nil
}

func (r *reader) take(record *kgo.Record) error {
	var found call
	if err := r.schemas.decode(record.Value, &found); err != nil {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if highest, ok := r.highest[found.Source.Partition]; ok && found.Source.Offset >= 0 && found.Source.Offset <= highest {
		return nil
	}
	r.highest[found.Source.Partition] = found.Source.Offset
	program := ""
	if found.Process.Binary != nil {
		program = *found.Process.Binary
	}
	fmt.Printf("%s\t%d\t%d\t%s\t%s\n", found.EventID, found.Source.Partition, found.Source.Offset, found.ProbeType, program)
	return nil
}

func (r *reader) isMember() bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.joined
}

// addMarks puts the highest raw offset of each partition beside its position.
func (r *reader) addMarks(request *kmsg.OffsetCommitRequest) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for t := range request.Topics {
		for p := range request.Topics[t].Partitions {
			one := &request.Topics[t].Partitions[p]
			if highest, ok := r.highest[one.Partition]; ok {
				text := mark + strconv.FormatInt(highest, 10)
				one.Metadata = &text
			}
		}
	}
	return nil
}

// assigned reads the marks of new partitions before their records come.
func (r *reader) assigned(ctx context.Context, client *kgo.Client, partitions map[string][]int32) {
	wanted := kmsg.NewOffsetFetchRequestGroupTopic()
	wanted.Topic, wanted.Partitions = r.topic, partitions[r.topic]
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group, group.Topics = r.group, []kmsg.OffsetFetchRequestGroupTopic{wanted}
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Groups = []kmsg.OffsetFetchRequestGroup{group}
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		log.Printf("marks of earlier calls cannot be read, some may come again: %v", err)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.joined = true
	for _, group := range answer.Groups {
		for _, topic := range group.Topics {
			for _, one := range topic.Partitions {
				if one.Metadata == nil {
					continue
				}
				number, found := strings.CutPrefix(*one.Metadata, mark)
				if highest, err := strconv.ParseInt(number, 10, 64); found && err == nil {
					r.highest[one.Partition] = highest
				}
			}
		}
	}
}

func (r *reader) revoked(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, partition := range partitions[r.topic] {
		delete(r.highest, partition)
	}
}

// schemas are read from the registry once: a schema never changes under its id.
type schemas struct {
	url   string
	known map[uint32]avro.Schema
}

// decode reads a record in Confluent's wire format: a zero byte, the schema's id in four bytes, the record.
func (s *schemas) decode(value []byte, into any) error {
	if len(value) < 5 || value[0] != 0 {
		return errors.New("it has no schema header")
	}
	schema, err := s.schema(binary.BigEndian.Uint32(value[1:]))
	if err != nil {
		return err
	}
	return avro.Unmarshal(schema, value[5:], into)
}

func (s *schemas) schema(id uint32) (avro.Schema, error) {
	if schema, ok := s.known[id]; ok {
		return schema, nil
	}
	answer, err := http.Get(fmt.Sprintf("%s/schemas/ids/%d", s.url, id))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the registry has no schema %d: %s", id, answer.Status)
	}
	var document struct {
		Schema string `json:"schema"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 4<<20)).Decode(&document); err != nil {
		return nil, err
	}
	schema, err := avro.ParseWithCache(document.Schema, "", &avro.SchemaCache{})
	if err != nil {
		return nil, err
	}
	if named, ok := schema.(avro.NamedSchema); !ok || named.FullName() != "callstream.RuntimeCallEvent" {
		return nil, fmt.Errorf("schema %d is not of a call", id)
	}
	s.known[id] = schema
	return schema, nil
}
