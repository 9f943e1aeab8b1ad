// Writes records with the Java producer: the other side of comparisons, and the proof that reading back works.
// Record i has the key "key-i", the value "value-i" (some are null), and two headers of one name.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class Write {
    private Write() {}

    /** Mode: plain, commit (one transaction) or abort. Answers "partition offset timestamp" for each record. */
    static String records(String bootstrap, String topic, int count, String mode) throws Exception {
        boolean transactional = !mode.equals("plain");
        var settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("linger.ms", "5");
        settings.put("reconnect.backoff.max.ms", "200");
        if (transactional) {
            settings.put("transactional.id", "write-" + topic);
        }
        var places = new ArrayList<Future<RecordMetadata>>(count);
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            if (transactional) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            for (int i = 0; i < count; i++) {
                places.add(producer.send(record(topic, i)));
            }
            producer.flush();
            if (mode.equals("commit")) {
                producer.commitTransaction();
            } else if (transactional) {
                producer.abortTransaction();
            }
            return text(places);
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, int i) {
        var headers = new RecordHeaders(List.of(
                new RecordHeader("number", Integer.toString(i).getBytes(StandardCharsets.UTF_8)),
                new RecordHeader("number", null)));
        byte[] key = i % 10 == 9 ? null : ("key-" + i).getBytes(StandardCharsets.UTF_8);
        byte[] value = i % 100 == 98 ? null : ("value-" + i).getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<>(topic, null, 1_700_000_000_000L + i, key, value, headers);
    }

    private static String text(List<Future<RecordMetadata>> places) throws Exception {
        var text = new StringBuilder();
        for (var place : places) {
            RecordMetadata metadata = place.get();
            text.append(metadata.partition()).append(' ').append(metadata.offset()).append(' ')
                    .append(metadata.timestamp()).append('\n');
        }
        return text.toString();
    }
}
