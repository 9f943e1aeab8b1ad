// The driver over the Java producer: the same command line, records and journal as driver/driver.c.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Drive {
    private static final int ENTRY = 32;
    private static final byte ACCEPTED = 1;
    private static final byte DELIVERY = 2;
    private static final byte REFUSED = 3;
    private static final byte END = 6;
    /** Java does not say whether a record that failed is in the log. */
    private static final byte UNKNOWN = 0;
    private static final byte WRITTEN = 1;

    private final FileChannel journal;
    private final ByteBuffer waiting = ByteBuffer.allocateDirect(4096 * ENTRY).order(ByteOrder.LITTLE_ENDIAN);
    private final int run;
    private final int threads;
    private final long records;
    private final double rate;
    private final int valueSize;
    private final long epochMs;
    private final String[] topics;
    private final int[] partitions;
    private final KafkaProducer<byte[], byte[]> producer;
    private final AtomicInteger sending = new AtomicInteger();
    private volatile boolean stopping;

    private Drive(String[] arguments) throws IOException {
        journal = FileChannel.open(Path.of(arguments[1]), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        run = Integer.parseInt(arguments[2]);
        threads = Integer.parseInt(arguments[3]);
        records = Long.parseLong(arguments[4]);
        rate = Double.parseDouble(arguments[5]);
        valueSize = Integer.parseInt(arguments[6]);
        epochMs = Long.parseLong(arguments[7]);
        String[] named = arguments[8].split(",");
        topics = new String[threads];
        partitions = new int[threads];
        for (int i = 0; i < threads; i++) {
            String[] words = named[i % named.length].split(":");
            topics[i] = words[0];
            partitions[i] = Integer.parseInt(words[1]);
        }
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        settings.put("max.block.ms", "1000");
        for (int i = 9; i < arguments.length; i++) {
            String[] words = arguments[i].split("=", 2);
            settings.put(words[0], words[1]);
        }
        producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    public static void main(String[] arguments) throws Exception {
        new Drive(arguments).drive();
        System.exit(0);
    }

    private void drive() throws Exception {
        sending.set(threads);
        var senders = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            int thread = i;
            senders[i] = new Thread(() -> send(thread));
            senders[i].start();
        }
        var listener = new Thread(this::listen);
        listener.setDaemon(true);
        listener.start();
        while (!stopping && sending.get() > 0) {
            Thread.sleep(20);
            flush();
        }
        for (Thread sender : senders) {
            sender.join();
        }
        var closing = new Thread(() -> producer.close(Duration.ofHours(1)));
        closing.start();
        while (closing.isAlive()) {
            closing.join(20);
            flush();
        }
        append(END, 0, UNKNOWN, 0, 0, 0, 0, 0, 0);
        flush();
    }

    /** Whoever started us closes our standard input when it is enough. */
    private void listen() {
        try {
            while (System.in.read() >= 0) {
                continue;
            }
        } catch (IOException e) {
            // The same as its end.
        }
        stopping = true;
    }

    // ---- the journal ----

    private synchronized void append(byte kind, int thread, byte outcome, int code, int partition, int number,
            long amount, long offset, long timestampMs) {
        if (waiting.remaining() < ENTRY) {
            flush();
        }
        waiting.put(kind).put((byte) thread).put(outcome).put((byte) 0).putShort((short) code)
                .putShort((short) partition).putInt(number).putInt((int) Math.min(amount, 0xffffffffL))
                .putLong(offset).putLong(timestampMs);
    }

    private synchronized void flush() {
        try {
            waiting.flip();
            while (waiting.hasRemaining()) {
                journal.write(waiting);
            }
            waiting.clear();
        } catch (IOException e) {
            Runtime.getRuntime().halt(3);
        }
    }

    // ---- records ----

    private static long mix(long x) {
        x += 0x9e3779b97f4a7c15L;
        x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
        x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
        return x ^ x >>> 31;
    }

    private static long hash(long state, byte[] bytes, int from) {
        for (int i = from; bytes != null && i < bytes.length; i++) {
            state = (state ^ bytes[i] & 0xff) * 0x100000001b3L;
        }
        return state;
    }

    private static byte[] number(int value) {
        return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
    }

    private ProducerRecord<byte[], byte[]> make(int thread, int number) {
        long h = mix((long) run << 40 | (long) thread << 32 | number & 0xffffffffL);
        int kind = (int) (h & 3);
        Integer partition = kind == 0 ? (int) ((h >>> 8 & 0xffff) % partitions[thread]) : null;
        byte[] key = null;
        if (kind == 1 || kind == 2) {
            int choice = (int) ((h >>> 24) % 1000);
            key = choice == 0 ? new byte[0] : number(choice);
        }
        var headers = new RecordHeaders();
        if ((h >>> 2 & 7) == 0) {
            headers.add("a", number(number)).add("a", null).add("\u00fc", new byte[0]);
        }
        Long timestampMs = epochMs > 0 && (h >>> 5 & 7) == 1 ? epochMs + (number & 0xffffffffL) % 60000 : null;
        byte[] value = new byte[valueSize + (int) (h >>> 40 & 15) + ((h >>> 44 & 0x3fff) == 0 ? 20000 : 0)];
        var front = ByteBuffer.wrap(value).order(ByteOrder.LITTLE_ENDIAN);
        front.position(8).putInt(run).putInt(partition == null ? -1 : partition).putInt(thread).putInt(number);
        for (int i = 24; i < value.length; i++) {
            value[i] = (byte) (h >>> 8 * (i & 7) ^ i);
        }
        long sum = hash(hash(0x6b75726965726b65L, value, 8), key, 0);
        for (var header : headers) {
            sum = hash(hash(sum, header.key().getBytes(StandardCharsets.UTF_8), 0), header.value(), 0);
        }
        front.putLong(0, mix(sum));
        return new ProducerRecord<>(topics[thread], partition, timestampMs, key, value, headers);
    }

    // ---- threads ----

    private void send(int thread) {
        double intervalUs = rate > 0 ? 1e6 * threads / rate : 0;
        long began = System.nanoTime() / 1000;
        long told = began;
        int reported = 0;
        int number = 0;
        boolean refused = false;
        while (!stopping && (records == 0 || number < records)) {
            long now = System.nanoTime() / 1000;
            if (now - told > 10000 || number - reported >= 1024) {
                reported = accepted(thread, reported, number);
                told = now;
            }
            if (intervalUs > 0 && now - began < number * intervalUs) {
                java.util.concurrent.locks.LockSupport.parkNanos(1_000_000);
                continue;
            }
            if (accept(thread, number, now)) {
                number++;
                refused = false;
            } else if (!refused) {
                append(REFUSED, thread, UNKNOWN, -1, 0, number, 0, 0, 0);
                refused = true;
            }
        }
        accepted(thread, reported, number);
        sending.decrementAndGet();
    }

    private int accepted(int thread, int from, int to) {
        if (from < to) {
            append(ACCEPTED, thread, UNKNOWN, 0, 0, from, to - from, 0, 0);
        }
        return to;
    }

    /** A refusal comes through the callback too, but on the thread that sends. */
    private boolean accept(int thread, int number, long sentUs) {
        Thread sender = Thread.currentThread();
        boolean[] refused = new boolean[1];
        try {
            producer.send(make(thread, number), (metadata, error) -> {
                if (error != null && Thread.currentThread() == sender) {
                    refused[0] = true;
                } else {
                    deliver(thread, number, sentUs, metadata, error);
                }
            });
        } catch (RuntimeException e) {
            return false;
        }
        return !refused[0];
    }

    private void deliver(int thread, int number, long sentUs, RecordMetadata metadata, Exception error) {
        long latencyUs = System.nanoTime() / 1000 - sentUs;
        if (error == null) {
            append(DELIVERY, thread, WRITTEN, 0, metadata.partition(), number, latencyUs, metadata.offset(),
                    metadata.timestamp());
        } else {
            int code = org.apache.kafka.common.protocol.Errors.forException(error).code();
            append(DELIVERY, thread, UNKNOWN, code, metadata == null ? 0 : metadata.partition(), number, latencyUs,
                    -1, -1);
        }
    }
}
