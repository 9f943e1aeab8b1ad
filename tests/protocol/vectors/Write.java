// Writes record batches with the Java client's own code, one file per case, into the folder named.
// See README.md in this folder.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;

public class Write {
    static final long BASE = 1_700_000_000_000L;

    static byte[] text(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static Header header(String name, String value) {
        return new RecordHeader(name, text(value));
    }

    static void mixed(MemoryRecordsBuilder batch) {
        batch.append(BASE, text("key"), text("value"));
        batch.append(BASE - 1, null, text("earlier than the first"));
        batch.append(BASE + 64, text(""), text(""));
        batch.append(BASE + 1_000_000, text("tombstone"), null, new Header[] {header("h", "1"), header("h", "2")});
        batch.append(BASE - 10_000_000_000L, (byte[]) null, null, new Header[] {header("", null), header("größe", "")});
        char[] long_ = new char[10_000];
        Arrays.fill(long_, 'x');
        batch.append(BASE, text(new String(long_)), text("after a long key"));
        for (int index = 6; index < 100; index++)
            batch.append(BASE + index * 37L, text("k" + index % 7), text("value number " + index));
    }

    static void write(Path folder, String name, Compression compression, boolean transactional, boolean identity)
            throws IOException {
        MemoryRecordsBuilder batch = identity
            ? MemoryRecords.builder(ByteBuffer.allocate(1 << 20), compression, 0L, 4711L, (short) 12,
                Integer.MAX_VALUE - 3, transactional)
            : MemoryRecords.builder(ByteBuffer.allocate(1 << 20), compression,
                org.apache.kafka.common.record.TimestampType.CREATE_TIME, 0L);
        mixed(batch);
        ByteBuffer bytes = batch.build().buffer();
        byte[] all = new byte[bytes.remaining()];
        bytes.get(all);
        Files.write(folder.resolve(name + ".bin"), all);
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        write(folder, "none", Compression.NONE, false, false);
        write(folder, "none-idempotent", Compression.NONE, false, true);
        write(folder, "none-transactional", Compression.NONE, true, true);
        write(folder, "gzip", Compression.gzip().build(), false, false);
        write(folder, "snappy", Compression.snappy().build(), false, false);
        write(folder, "lz4", Compression.lz4().build(), false, false);
        write(folder, "zstd", Compression.zstd().build(), false, false);
    }
}
