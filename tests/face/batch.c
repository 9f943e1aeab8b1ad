// kurier_producer_send_batch: every record as by itself, `accepted` exact, whatever stands in the middle.
#include "check.h"

enum { RECORDS = 3000, HEADERS = 200 };

static kurier_record records[RECORDS];
static kurier_header headers[HEADERS];
static char large[400000], values[RECORDS][8];
static unsigned seen[RECORDS];
static int asked;

static int32_t by_key(void *userdata, uint32_t topic, const void *key, size_t size, int32_t partitions)
{
    (void)userdata, (void)topic, (void)size;
    asked++;
    return key ? ((const char *)key)[0] % partitions : -1;
}

// The partition that a record names; runs of 1 to 9, the longer ones rarer.
static int32_t partition_of(size_t i)
{
    return (int32_t)(i * i / 7 % 4);
}

static void fill(uint32_t topic)
{
    for (size_t i = 0; i < HEADERS; i++)
        headers[i] = (kurier_header){.name = "name", .value = "value", .name_size = 4, .value_size = 5};
    for (size_t i = 0; i < RECORDS; i++) {
        snprintf(values[i], sizeof values[i], "%zu", i);
        records[i] = record_of(topic, i % 3 ? NULL : "key", i % 11 ? values[i] : NULL);
        records[i].opaque = i;
        records[i].flags = KURIER_RECORD_TIMESTAMP | KURIER_RECORD_PARTITION;
        records[i].timestamp_ms = 1700000000000 + (int64_t)(i % 100);
        records[i].partition = partition_of(i);
        // None, a few, as many as there is room for at once, and more than that.
        records[i].headers = headers;
        records[i].header_count = i % 5 ? 0 : i % 97 == 0 ? HEADERS : i % 89 == 0 ? 64 : i % 7;
        if (i % 500 == 0) {
            records[i].value = large;
            records[i].value_size = sizeof large;
        }
    }
}

// Deliveries of all records between: each once, and in every partition in their order.
static void check(kurier_producer *producer, size_t from, size_t to)
{
    kurier_delivery deliveries[100];
    uint64_t next[4] = {0};
    size_t have = 0, count;
    while (have < to - from) {
        CODE(kurier_producer_poll(producer, -1, deliveries, 100, &count), OK);
        for (size_t i = 0; i < count; i++) {
            const kurier_delivery *d = &deliveries[i];
            CODE(d->code, OK);
            CHECK(d->opaque >= from && d->opaque < to && seen[d->opaque]++ == 0);
            CHECK(d->partition == partition_of(d->opaque) && d->opaque >= next[d->partition]);
            CHECK(d->timestamp_ms == records[d->opaque].timestamp_ms);
            next[d->partition] = d->opaque + 1;
        }
        have += count;
    }
    CHECK(kurier_producer_pending(producer) == 0);
}

int main(void)
{
    kurier_producer *producer = start("batch.size=100000\n");
    uint32_t payments = topic(producer, "payments");
    int32_t partitions;
    size_t count;
    CODE(kurier_producer_partition_count(producer, payments, -1, &partitions, NULL), OK);
    CHECK(partitions == 4);
    fill(payments);
    CODE(kurier_producer_send_batch(producer, records, RECORDS, -1, &count), OK);
    CHECK(count == RECORDS);
    check(producer, 0, RECORDS);

    // What is wrong ends it where it stands; those before it are in, and it goes on from there.
    memset(seen, 0, sizeof seen);
    kurier_record good = records[70];
    static const struct { size_t at; kurier_code code; } wrong[] = {
        {0, INVALID}, {1, INVALID}, {63, INVALID}, {64, INVALID}, {70, KURIER_CODE_UNKNOWN_PARTITION},
        {127, KURIER_CODE_RECORD_TOO_LARGE}, {128, INVALID}, {200, INVALID},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t at = wrong[i].at;
        good = records[at];
        switch (i) {
        case 0: records[at].flags |= 128; break;
        case 1: records[at].topic = 12345; break;
        case 2: records[at].timestamp_ms = -1; break;
        case 3: records[at].partition = -7; break;
        case 4: records[at].partition = 4; break;
        case 5: records[at].value_size = sizeof large * 100; records[at].value = large; break;
        case 6: records[at].headers = NULL; records[at].header_count = 3; break;
        case 7: records[at].key = NULL; records[at].key_size = 3; break;
        }
        // Too large is said of what is never read.
        CODE(kurier_producer_send_batch(producer, records, 300, -1, &count), wrong[i].code);
        CHECK(count == at);
        CODE(kurier_producer_flush(producer, -1, NULL), OK);
        check(producer, 0, at);
        memset(seen, 0, sizeof seen);
        records[at] = good;
    }
    stop(producer);

    // Full: what is in, comes; the rest is sent again from there.
    producer = start("buffer.memory=300000\nbatch.size=16384\nmax.request.size=100000\nlinger.ms=1000\n");
    payments = topic(producer, "payments");
    CODE(kurier_producer_partition_count(producer, payments, -1, &partitions, NULL), OK);
    memset(large, 'x', sizeof large);
    for (size_t i = 0; i < RECORDS; i++) {
        records[i].topic = payments;
        records[i].header_count = 0;
        records[i].value = large;
        records[i].value_size = i % 200;
    }
    size_t sent = 0, full = 0;
    while (sent < RECORDS) {
        kurier_code code = kurier_producer_send_batch(producer, records + sent, RECORDS - sent, 0, &count);
        CHECK(code == (sent + count == RECORDS ? OK : KURIER_CODE_QUEUE_FULL));
        CHECK(count == kurier_producer_pending(producer));
        full += code != OK;
        check(producer, sent, sent + count);
        sent += count;
    }
    CHECK(full > 0);
    stop(producer);

    // The application's partitioner is asked once for each.
    kurier_config *config = settings("");
    CODE(kurier_config_set_partitioner(config, NULL, by_key), OK);
    producer = producer_of(config);
    payments = topic(producer, "payments");
    CODE(kurier_producer_partition_count(producer, payments, -1, &partitions, NULL), OK);
    for (size_t i = 0; i < RECORDS; i++)
        records[i] = record_of(payments, i % 3 ? NULL : values[i], "v");
    CODE(kurier_producer_send_batch(producer, records, RECORDS, -1, &count), OK);
    CHECK(count == RECORDS && asked == RECORDS);
    drain(producer, RECORDS);
    stop(producer);
    return 0;
}
