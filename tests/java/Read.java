// Reads a topic from its beginning to its end with the Java consumer, and writes what is there in a compact form.
// By hand: java -cp "target/kafka/4.2.0/classes:target/kafka/4.2.0/jars/*" Read 127.0.0.1:9092 TOPIC read_committed

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class Read {
    /** No record follows, all were read. */
    static final int END = 0;
    /** A record follows. */
    static final int RECORD = 1;
    /** Reading failed; a text follows. */
    static final int BROKEN = 2;

    private static final long STALLED_NANOS = 60_000_000_000L;

    private Read() {}

    public static void main(String[] arguments) throws IOException {
        var stream = new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 20);
        var out = new DataOutputStream(stream);
        records(arguments[0], arguments[1], arguments.length > 2 ? arguments[2] : "read_uncommitted", out);
        out.flush();
    }

    static void records(String bootstrap, String topic, String isolation, DataOutputStream out) throws IOException {
        try (var consumer = consumer(bootstrap, isolation)) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic, Duration.ofSeconds(60)).stream()
                    .map(info -> new TopicPartition(topic, info.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            // With read_committed this is the last stable offset.
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions, Duration.ofSeconds(60));
            long progress = System.nanoTime();
            while (!ends.isEmpty()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    // What was written after we asked for the end is not part of the answer.
                    Long end = ends.get(new TopicPartition(topic, record.partition()));
                    if (end != null && record.offset() < end) {
                        write(record, out);
                        progress = System.nanoTime();
                    }
                }
                // The position, not the last record: transaction markers and compacted records have offsets too.
                ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
                if (System.nanoTime() - progress > STALLED_NANOS) {
                    throw new IllegalStateException("no progress towards " + ends);
                }
            }
            out.writeByte(END);
        } catch (RuntimeException e) {
            byte[] text = e.toString().getBytes(StandardCharsets.UTF_8);
            out.writeByte(BROKEN);
            out.writeInt(text.length);
            out.write(text);
        }
    }

    private static void write(ConsumerRecord<byte[], byte[]> record, DataOutputStream out) throws IOException {
        out.writeByte(RECORD);
        out.writeInt(record.partition());
        out.writeLong(record.offset());
        out.writeLong(record.timestamp());
        out.writeByte(record.timestampType().id);
        bytes(record.key(), out);
        bytes(record.value(), out);
        Header[] headers = record.headers().toArray();
        out.writeInt(headers.length);
        for (Header header : headers) {
            bytes(header.key().getBytes(StandardCharsets.UTF_8), out);
            bytes(header.value(), out);
        }
    }

    /** A size, -1 for null, and the bytes. */
    private static void bytes(byte[] bytes, DataOutputStream out) throws IOException {
        if (bytes == null) {
            out.writeInt(-1);
        } else {
            out.writeInt(bytes.length);
            out.write(bytes);
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation) {
        var settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", isolation);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "none");
        settings.put("allow.auto.create.topics", "false");
        settings.put("max.poll.records", "20000");
        settings.put("max.partition.fetch.bytes", "8388608");
        settings.put("reconnect.backoff.max.ms", "200");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }
}
