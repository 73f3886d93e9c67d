package callstream;

import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/**
 * What a stage costs that somebody writes with Kafka Streams: it reads raw events, decodes them with protobuf's
 * generated classes, copies what a call has, encodes that as Avro and produces it.
 *
 * <p>It resolves no symbol, filters nothing, keeps no state and has no dead letters, so it does less than canonicalize.
 *
 * <p>Usage: StreamsStage SERVERS TOPIC OUTPUT GROUP EVENTS LAP. Prints one line of JSON: CPU of the process and events a
 * second from the first event to the last, and from the lap's end to the last.
 */
public final class StreamsStage {
    private StreamsStage() {}

    public static void main(String[] arguments) throws Exception {
        Meter meter = new Meter(Long.parseLong(arguments[4]), Long.parseLong(arguments[5]));
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .processValues(() -> new Convert(meter))
                .to(arguments[2], Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings(arguments[0], arguments[3]))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
            });
            streams.start();
            meter.done.await();
            System.out.println(meter.figures());
            System.out.flush();
            Runtime.getRuntime().halt(0); // nothing of the shutdown is measured
        }
    }

    private static Properties settings(String servers, String group) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, java.nio.file.Files.createTempDirectory("streams").toString());
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 1_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.ACKS_CONFIG), "all");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 5);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 900_000);
        return settings;
    }

    /** Turns a raw event's bytes into a call's. */
    private static final class Convert extends ContextualFixedKeyProcessor<byte[], byte[], byte[]> {
        private final Meter meter;
        private final Calls calls = new Calls();

        Convert(Meter meter) {
            this.meter = meter;
        }

        @Override
        public void process(FixedKeyRecord<byte[], byte[]> raw) {
            meter.begin();
            RecordMetadata from = context().recordMetadata().orElseThrow();
            context().forward(raw.withValue(calls.value(raw.value(), from.partition(), from.offset())));
            meter.count();
        }
    }

    /** CPU and time from the first event to the last, and from the first event after the lap. */
    private static final class Meter {
        final CountDownLatch done = new CountDownLatch(1);
        private final long events;
        private final long lap;
        private long seen;
        private long[] first;
        private long[] lapped;
        private long[] last;

        Meter(long events, long lap) {
            this.events = events;
            this.lap = lap;
        }

        synchronized void begin() {
            if (first == null) {
                first = now();
            }
        }

        synchronized void count() {
            seen++;
            if (seen == lap) {
                lapped = now();
            }
            if (seen == events) {
                last = now();
                done.countDown();
            }
        }

        String figures() {
            String whole = since("", first, events);
            return "{" + (lapped == null ? whole : whole + ", " + since("steady_", lapped, events - lap)) + "}";
        }

        private String since(String prefix, long[] begin, long counted) {
            double cpuUs = (last[0] - begin[0]) / 1e3 / counted;
            double rate = counted / ((last[1] - begin[1]) / 1e9);
            return String.format(
                    Locale.ROOT, "\"%scpu_us\": %f, \"%sevents_per_s\": %f", prefix, cpuUs, prefix, rate);
        }

        private static long[] now() {
            var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
            return new long[] {system.getProcessCpuTime(), System.nanoTime()};
        }
    }
}
