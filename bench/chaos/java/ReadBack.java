// Reads a topic from its beginning to its end with the Java consumer, and writes what is there, little-endian, to its
// standard output: see src/readback.rs. By hand: java -cp "target/kafka/4.2.0/jars/*" ReadBack.java SERVERS TOPIC

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class ReadBack {
    private static final int END = -1;
    private static final int BROKEN = -2;
    private static final long STALLED_NANOS = 60_000_000_000L;

    private final FileChannel out = new FileOutputStream(FileDescriptor.out).getChannel();
    private ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20).order(ByteOrder.LITTLE_ENDIAN);

    private ReadBack() {}

    public static void main(String[] arguments) throws IOException {
        var reader = new ReadBack();
        try {
            reader.records(arguments[0], arguments[1]);
            reader.room(4).putInt(END);
        } catch (RuntimeException e) {
            byte[] text = e.toString().getBytes(StandardCharsets.UTF_8);
            reader.room(8 + text.length).putInt(BROKEN).putInt(text.length).put(text);
        }
        reader.flush();
    }

    private void records(String bootstrap, String topic) throws IOException {
        try (var consumer = consumer(bootstrap)) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic, Duration.ofSeconds(60)).stream()
                    .map(info -> new TopicPartition(topic, info.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions, Duration.ofSeconds(60)));
            long progress = System.nanoTime();
            while (!ends.isEmpty()) {
                var records = consumer.poll(Duration.ofMillis(200));
                for (TopicPartition partition : records.partitions()) {
                    // What was written after we asked for the end is not part of the answer.
                    long end = ends.getOrDefault(partition, 0L);
                    for (ConsumerRecord<byte[], byte[]> record : records.records(partition)) {
                        if (record.offset() < end) {
                            write(record);
                        }
                    }
                    progress = System.nanoTime();
                }
                // The position, not the last record: what is removed has offsets too.
                ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
                if (System.nanoTime() - progress > STALLED_NANOS) {
                    throw new IllegalStateException("no progress towards " + ends);
                }
            }
        }
    }

    private void write(ConsumerRecord<byte[], byte[]> record) throws IOException {
        room(20).putInt(record.partition()).putLong(record.offset()).putLong(record.timestamp());
        bytes(record.key());
        bytes(record.value());
        Header[] headers = record.headers().toArray();
        room(4).putInt(headers.length);
        for (Header header : headers) {
            bytes(header.key().getBytes(StandardCharsets.UTF_8));
            bytes(header.value());
        }
    }

    /** A size, -1 for null, and the bytes. */
    private void bytes(byte[] bytes) throws IOException {
        if (bytes == null) {
            room(4).putInt(-1);
        } else {
            room(4 + bytes.length).putInt(bytes.length).put(bytes);
        }
    }

    private ByteBuffer room(int size) throws IOException {
        if (buffer.remaining() < size) {
            flush();
            if (buffer.capacity() < size) {
                buffer = ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN);
            }
        }
        return buffer;
    }

    private void flush() throws IOException {
        buffer.flip();
        while (buffer.hasRemaining()) {
            out.write(buffer);
        }
        buffer.clear();
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap) {
        var settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        // No transactions here: both levels see the same, and this one also what a defect would leave open.
        settings.put("isolation.level", "read_uncommitted");
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "none");
        settings.put("allow.auto.create.topics", "false");
        settings.put("max.poll.records", "50000");
        settings.put("max.partition.fetch.bytes", "8388608");
        settings.put("reconnect.backoff.max.ms", "200");
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }
}
