// Command go-stage is what a stage costs that somebody writes in Go: it reads raw events with franz-go, decodes them
// with protobuf's generated code, copies what a call has, encodes that as Avro and produces it to the same partition.
//
// It resolves no symbol, filters nothing, keeps no state and has no dead letters, so it does less than canonicalize.
//
// Usage: go-stage SERVERS TOPIC OUTPUT GROUP SCHEMA_FILE EVENTS LAP. Prints one line of JSON: CPU of the process and
// events a second from the first event to the last, and from the lap's end to the last.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	pollRecords      = 10_000 // as much as is there: a poll ends with a flush
	linger           = 5 * time.Millisecond
	batchBytes       = 900_000
	partitionMaxSize = 4 << 20
	queuedRecords    = 100_000
)

func main() {
	if len(os.Args) != 8 {
		log.Fatal("usage: go-stage SERVERS TOPIC OUTPUT GROUP SCHEMA_FILE EVENTS LAP")
	}
	servers, topic, output, group := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	text, err := os.ReadFile(os.Args[5])
	must(err)
	schema, err := avro.ParseWithCache(string(text), "", &avro.SchemaCache{})
	must(err)
	events, err := strconv.Atoi(os.Args[6])
	must(err)
	lap, err := strconv.Atoi(os.Args[7])
	must(err)
	client, err := kgo.NewClient(
		kgo.SeedBrokers(servers),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.FetchMaxPartitionBytes(partitionMaxSize),
		kgo.DefaultProduceTopic(output),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(linger),
		kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.MaxBufferedRecords(queuedRecords),
	)
	must(err)
	defer client.Close()
	run(client, newEncoder(schema), meter{events: events, lap: lap})
}

// run converts until the meter has all events. A poll's positions are committed when its calls are acknowledged.
func run(client *kgo.Client, encoder *encoder, meter meter) {
	ctx := context.Background()
	delivered := func(_ *kgo.Record, err error) { must(err) }
	for {
		fetches := client.PollRecords(ctx, pollRecords)
		for _, failed := range fetches.Errors() {
			log.Fatal(failed.Err)
		}
		meter.begin()
		fetches.EachRecord(func(raw *kgo.Record) {
			value, err := encoder.value(raw)
			must(err)
			client.Produce(ctx, &kgo.Record{
				Key: raw.Key, Value: value, Partition: raw.Partition, Timestamp: raw.Timestamp,
			}, delivered)
		})
		must(client.Flush(ctx))
		must(client.CommitUncommittedOffsets(ctx))
		if meter.count(fetches.NumRecords()) {
			meter.print()
			return
		}
	}
}

// moment is a point of the run: CPU seconds that the process has used by then, and the time.
type moment struct {
	cpu  float64
	time time.Time
}

// meter measures from the first event to the last, and from the first event after the lap.
type meter struct {
	events, lap   int
	seen, lapSeen int
	first, lapped moment
}

func (m *meter) begin() {
	if m.seen == 0 {
		m.first = now()
	}
}

func (m *meter) count(events int) bool {
	m.seen += events
	if m.lap > 0 && m.lapSeen == 0 && m.seen >= m.lap {
		m.lapSeen, m.lapped = m.seen, now()
	}
	return m.seen >= m.events
}

func (m *meter) print() {
	figures := map[string]float64{}
	since(figures, "", m.first, m.seen)
	if m.lapSeen > 0 {
		since(figures, "steady_", m.lapped, m.seen-m.lapSeen)
	}
	line, err := json.Marshal(figures)
	must(err)
	fmt.Println(string(line))
}

func since(figures map[string]float64, prefix string, begin moment, events int) {
	end := now()
	figures[prefix+"cpu_us"] = (end.cpu - begin.cpu) / float64(events) * 1e6
	figures[prefix+"events_per_s"] = float64(events) / end.time.Sub(begin.time).Seconds()
}

func now() moment {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return moment{seconds(usage.Utime) + seconds(usage.Stime), time.Now()}
}

func seconds(value syscall.Timeval) float64 {
	return float64(value.Sec) + float64(value.Usec)/1e6
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
