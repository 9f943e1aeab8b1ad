// The driver over Kafka's own producer: the same command line and the same line of output as driver/driver.c.

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public final class Drive {
    private final Map<String, String> words = new HashMap<>();
    private final long records;
    private final int size;
    private final long keys;
    private final int partitions;
    private final String spread;
    private final double intervalNs;
    private final long burst;
    private final int threads;
    private final List<Header> headers;
    private final byte[][] pool;
    private final KafkaProducer<byte[], byte[]> producer;
    private final Histogram latencies = new Histogram();
    private final CountDownLatch done = new CountDownLatch(1);
    private long startNs;
    private long lastNs;
    private long good;
    private long failed;

    /** Latencies: counts by size, exact to 1/128. */
    private static final class Histogram {
        private static final int STEPS = 128;
        private final long[] counts = new long[STEPS * 58];
        private long total;
        private long max;

        void add(long value) {
            int power = Math.max(0, 63 - Long.numberOfLeadingZeros(value | 1) - 7);
            int place = value < STEPS ? (int) value : STEPS * (power + 1) + (int) (value >>> power) - STEPS;
            counts[place]++;
            total++;
            max = Math.max(max, value);
        }

        private static long bound(int place) {
            int power = place / STEPS - 1;
            return place < STEPS ? place : ((long) (place % STEPS + STEPS + 1) << power) - 1;
        }

        double us(double part) {
            long rank = (long) (total * part + 0.999999);
            long seen = 0;
            for (int i = 0; i < counts.length; i++) {
                seen += counts[i];
                if (seen >= rank && seen > 0) {
                    return Math.min(bound(i), max) / 1e3;
                }
            }
            return 0;
        }
    }

    public static void main(String[] arguments) throws Exception {
        new Drive(arguments).run();
    }

    private final long madeNs;

    private Drive(String[] arguments) throws Exception {
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            words.put(argument.substring(0, at), argument.substring(at + 1));
        }
        records = number("records");
        size = (int) number("bytes");
        keys = number("keys");
        partitions = (int) number("partitions");
        spread = words.get("spread");
        intervalNs = number("rate") > 0 ? 1e9 / number("rate") : 0;
        burst = number("burst");
        threads = (int) number("threads");
        headers = number("headers") == 0 ? null
                : List.of(new RecordHeader("trace-id", bytes("0af7651916cd43dd")),
                        new RecordHeader("source", bytes("checkout")));
        byte[] values = Files.readAllBytes(Path.of(words.get("payload")));
        pool = new byte[values.length / size][];
        for (int i = 0; i < pool.length; i++) {
            pool[i] = Arrays.copyOfRange(values, i * size, (i + 1) * size);
        }
        madeNs = System.nanoTime();
        producer = new KafkaProducer<>(properties(), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private long number(String name) {
        return Long.parseLong(words.get(name));
    }

    private boolean is(String name) {
        return words.get(name).equals("1");
    }

    private Properties properties() {
        Properties all = new Properties();
        all.put("bootstrap.servers", words.get("bootstrap"));
        // It knows whole milliseconds only.
        all.put("linger.ms", Long.toString((number("linger_us") + 999) / 1000));
        all.put("compression.type", words.get("codec"));
        all.put("acks", words.get("acks"));
        all.put("enable.idempotence", Boolean.toString(is("idempotent")));
        all.put("batch.size", "1000000");
        all.put("max.in.flight.requests.per.connection", "5");
        all.put("buffer.memory", Long.toString(number("buffer_mb") << 20));
        return all;
    }

    private static long mix(long number) {
        long x = number + 0x9e3779b97f4a7c15L;
        x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
        x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
        return x ^ x >>> 31;
    }

    private ProducerRecord<byte[], byte[]> make(int thread, long number) {
        byte[] value = pool[(int) (number % pool.length)];
        byte[] key = keys == 0 ? null
                : ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(mix(number % keys)).array();
        Integer partition = switch (spread) {
            case "round" -> (int) (number % partitions);
            case "own" -> thread % partitions;
            case "one" -> 0;
            default -> null;
        };
        return new ProducerRecord<>(words.get("topic"), partition, null, key, value, headers);
    }

    private long dueNs(long number) {
        return startNs + (long) ((number - number % burst) * intervalNs);
    }

    private synchronized void delivered(long sentNs, Exception error) {
        if (error == null) {
            good++;
        } else {
            failed++;
        }
        if (sentNs != 0) {
            latencies.add(Math.max(0, System.nanoTime() - sentNs));
        }
        if (good + failed == records) {
            lastNs = System.nanoTime();
            done.countDown();
        }
    }

    private void send(int thread) {
        for (long number = thread; number < records; number += threads) {
            ProducerRecord<byte[], byte[]> record = make(thread, number);
            if (intervalNs == 0) {
                producer.send(record, (metadata, error) -> delivered(0, error));
                continue;
            }
            long dueNs = dueNs(number);
            for (long wait = dueNs - System.nanoTime(); wait > 0; wait = dueNs - System.nanoTime()) {
                LockSupport.parkNanos(wait);
            }
            producer.send(record, (metadata, error) -> delivered(dueNs, error));
        }
    }

    /** One record after the other; the answer is when the first one was back. */
    private long sendOneByOne() throws InterruptedException {
        Semaphore back = new Semaphore(0);
        long firstNs = 0;
        for (long number = 0; number < records; number++) {
            long sentNs = System.nanoTime();
            producer.send(make(0, number), (metadata, error) -> {
                delivered(sentNs, error);
                back.release();
            });
            back.acquire();
            firstNs = number == 0 ? System.nanoTime() : firstNs;
        }
        return firstNs;
    }

    private void sendAll() throws InterruptedException {
        Thread[] senders = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            int thread = i;
            senders[i] = new Thread(() -> send(thread));
            senders[i].start();
        }
        for (Thread sender : senders) {
            sender.join();
        }
    }

    private void run() throws Exception {
        if (!is("cold")) {
            producer.partitionsFor(words.get("topic"));
        }
        if (!is("cold") && !is("hold")) {
            // One record goes ahead, as in driver/driver.c.
            producer.send(make(0, 0)).get();
        }
        if (is("hold")) {
            System.out.println("started");
        }
        if (number("quiet_s") > 0) {
            System.out.println("quiet");
            Thread.sleep(number("quiet_s") * 1000);
        }
        startNs = System.nanoTime();
        long firstNs = madeNs;
        if (is("outstanding")) {
            firstNs = sendOneByOne();
        } else {
            sendAll();
        }
        if (is("hold")) {
            System.out.println("held");
            while (System.in.read() >= 0) {
                continue;
            }
            Runtime.getRuntime().halt(0);
        }
        done.await();
        if (number("idle_s") > 0) {
            System.out.println("idle");
            Thread.sleep(number("idle_s") * 1000);
        }
        System.out.printf("records=%d failed=%d seconds=%.6f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f "
                + "first_us=%.1f version=%s%n", good, failed, (lastNs - startNs) / 1e9, latencies.us(0.5),
                latencies.us(0.99), latencies.us(0.999), latencies.max / 1e3, (firstNs - madeNs) / 1e3,
                AppInfoParser.getVersion());
        System.out.flush();
        Runtime.getRuntime().halt(failed > 0 ? 1 : 0);
    }
}
