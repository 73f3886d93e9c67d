package callstream;

import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordDeserializationException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads runtime.calls, each call once, and prints a line for each: event id, raw partition, raw offset, probe, program.
 *
 * <p>A call that comes again has a raw offset that is not above the highest one of its partition. That number is stored
 * beside the committed position, so it is there again after a restart.
 */
public final class ReadCalls implements ConsumerRebalanceListener {
    private static final String SCHEMA = "callstream.RuntimeCallEvent";
    private static final String MARK = "raw=";
    private static final Duration POLL = Duration.ofMillis(200);

    private final KafkaConsumer<byte[], GenericRecord> consumer;
    private final Map<Integer, Long> highest = new HashMap<>();
    private boolean isMember;

    private ReadCalls(KafkaConsumer<byte[], GenericRecord> consumer) {
        this.consumer = consumer;
    }

    public static void main(String[] arguments) {
        String topic = environment("CALLSTREAM_TOPIC_PREFIX", "") + "runtime.calls";
        long idleNanos = arguments.length > 1 ? Long.parseLong(arguments[1]) * 1_000_000_000L : Long.MAX_VALUE;
        try (var consumer = new KafkaConsumer<byte[], GenericRecord>(options(arguments[0]))) {
            var reader = new ReadCalls(consumer);
            consumer.subscribe(List.of(topic), reader);
            reader.read(idleNanos);
        }
    }

    private static Properties options(String group) {
        // The pipeline names the registry by its Confluent interface; this deserializer wants Apicurio's own.
        String registry = environment("CALLSTREAM_SCHEMA_REGISTRY_URL", "http://localhost:8081/apis/ccompat/v7");
        var options = new Properties();
        options.put("bootstrap.servers", environment("CALLSTREAM_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"));
        options.put("group.id", group);
        options.put("enable.auto.commit", "false");
        options.put("auto.offset.reset", "earliest");
        options.put("isolation.level", "read_committed");
        options.put("key.deserializer", ByteArrayDeserializer.class.getName());
        options.put("value.deserializer", AvroKafkaDeserializer.class.getName());
        options.put("apicurio.registry.url", registry.replaceFirst("/apis/ccompat/v[0-9]+/?$", "/apis/registry/v3"));
        return options;
    }

    private static String environment(String name, String otherwise) {
        return Objects.requireNonNullElse(System.getenv(name), otherwise);
    }

    private void read(long idleNanos) {
        long heard = System.nanoTime();
        while (System.nanoTime() - heard < idleNanos) {
            ConsumerRecords<byte[], GenericRecord> records;
            try {
                records = consumer.poll(POLL);
            } catch (RecordDeserializationException refused) {
                System.err.printf("%s@%d is no call: %s%n", refused.topicPartition(), refused.offset(), refused.getCause());
                consumer.seek(refused.topicPartition(), refused.offset() + 1);
                continue;
            }
            if (!isMember || !records.isEmpty()) {
                heard = System.nanoTime();
            }
            for (ConsumerRecord<byte[], GenericRecord> record : records) {
                take(record.value());
            }
            commit(records);
        }
    }

    private void take(GenericRecord call) {
        if (!call.getSchema().getFullName().equals(SCHEMA)) { // whoever may register a schema must not choose what we do
            System.err.printf("a record of %s is no call%n", call.getSchema().getFullName());
            return;
        }
        var source = (GenericRecord) call.get("source");
        int partition = (Integer) source.get("partition");
        long offset = (Long) source.get("offset");
        if (offset >= 0 && offset <= highest.getOrDefault(partition, -1L)) {
            return;
        }
        highest.put(partition, offset);
        var process = (GenericRecord) call.get("process");
        System.out.printf("%s\t%d\t%d\t%s\t%s%n",
                call.get("event_id"), partition, offset, call.get("probe_type"), process.get("binary"));
    }

    /** After the work: what is not committed comes again. */
    private void commit(ConsumerRecords<byte[], GenericRecord> records) {
        System.out.flush();
        var positions = new HashMap<TopicPartition, OffsetAndMetadata>();
        for (TopicPartition one : records.partitions()) {
            var mark = MARK + highest.getOrDefault(one.partition(), -1L);
            positions.put(one, new OffsetAndMetadata(consumer.position(one), mark));
        }
        consumer.commitSync(positions);
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        isMember = true;
        consumer.committed(new HashSet<>(partitions)).forEach((one, stored) -> {
            if (stored != null && stored.metadata().matches(MARK + "[0-9]+")) {
                highest.put(one.partition(), Long.valueOf(stored.metadata().substring(MARK.length())));
            }
        });
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        partitions.forEach(one -> highest.remove(one.partition()));
    }
}
