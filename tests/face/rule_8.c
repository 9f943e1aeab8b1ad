// Rule 8: exactly one delivery per accepted record; none if QUIET and OK, or not accepted; one reader, chosen once.
#include "check.h"

#include <stdatomic.h>

enum { RECORDS = 5000 };

static unsigned seen[RECORDS];
static atomic_int delivered;

static void on_delivery(void *userdata, const kurier_delivery *deliveries, size_t count)
{
    (void)userdata;
    for (size_t i = 0; i < count; i++)
        CODE(deliveries[i].code, OK);
    atomic_fetch_add(&delivered, (int)count);
}

int main(void)
{
    kurier_producer *producer = start("");
    uint32_t payments = topic(producer, "payments");
    kurier_delivery deliveries[500];
    size_t count, have = 0, expected = 0;
    static char large[3000000];

    for (uint64_t i = 0; i < RECORDS; i++) {
        kurier_record record = record_of(payments, NULL, "v");
        record.opaque = i;
        record.partition = (int32_t)(i % 4);
        record.flags = KURIER_RECORD_PARTITION | KURIER_RECORD_TIMESTAMP | (i % 5 == 0 ? KURIER_RECORD_QUIET : 0);
        record.timestamp_ms = 1700000000000 + (int64_t)i;
        CODE(kurier_producer_send(producer, &record, -1), OK);
        expected += i % 5 != 0;
        if (i % 100 == 0) {
            record.value = large;
            record.value_size = sizeof large;
            CODE(kurier_producer_send(producer, &record, -1), KURIER_CODE_RECORD_TOO_LARGE);
        }
    }
    CODE(kurier_producer_flush(producer, -1, NULL), OK);
    // A quiet record counts as long as its batch has deliveries that nobody read.
    CHECK(kurier_producer_pending(producer) >= expected && kurier_producer_pending(producer) <= RECORDS);
    int64_t last[4] = {-1, -1, -1, -1};
    while (have < expected) {
        CODE(kurier_producer_poll(producer, -1, deliveries, 500, &count), OK);
        for (size_t i = 0; i < count; i++) {
            const kurier_delivery *d = &deliveries[i];
            CODE(d->code, OK);
            CHECK(d->outcome == KURIER_OUTCOME_WRITTEN && d->broker_code == 0 && d->attempts >= 1);
            CHECK(d->topic == payments && d->partition == (int32_t)(d->opaque % 4));
            CHECK(d->timestamp_ms == 1700000000000 + (int64_t)d->opaque);
            // one reader sees a partition in the order of its offsets: record 4n+p is the n-th of partition p
            CHECK(d->offset == (int64_t)(d->opaque / 4) && d->offset > last[d->partition]);
            last[d->partition] = d->offset;
            CHECK(d->opaque % 5 != 0 && seen[d->opaque]++ == 0);
        }
        have += count;
    }
    CHECK(kurier_producer_pending(producer) == 0);
    CODE(kurier_producer_close(producer, -1, NULL), OK);
    CODE(kurier_producer_poll(producer, -1, deliveries, 500, &count), KURIER_CODE_CLOSED);
    kurier_producer_destroy(producer);

    kurier_config *config = settings("");
    CODE(kurier_config_set_delivery_callback(config, NULL, on_delivery), OK);
    producer = producer_of(config);
    kurier_record record = record_of(topic(producer, "payments"), "k", "v");
    for (int i = 0; i < 100; i++)
        CODE(kurier_producer_send(producer, &record, -1), OK);
    CODE(kurier_producer_poll(producer, 0, deliveries, 500, &count), KURIER_CODE_WRONG_STATE);
    // a record that is waited for goes to its caller, not to the callback
    kurier_delivery delivery;
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);
    CHECK(delivery.outcome == KURIER_OUTCOME_WRITTEN);
    CODE(kurier_producer_flush(producer, -1, NULL), OK);
    CHECK(atomic_load(&delivered) == 100);
    stop(producer);
    CHECK(atomic_load(&delivered) == 100);
    return 0;
}
