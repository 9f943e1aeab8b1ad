// Rule 9: zeros mean defaults; reserved fields and unknown flags are errors; topic 0 and foreign ids too.
#include "check.h"

int main(void)
{
    kurier_producer *producer = start(""), *other = start("");
    kurier_delivery delivery;
    kurier_record record = {0};

    // nothing but a topic: null key, null value, no headers, now, any partition
    record.topic = topic(producer, "payments");
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);
    CHECK(delivery.offset == 0 && delivery.topic == record.topic && delivery.opaque == 0);
    CHECK(delivery.timestamp_ms > 1600000000000);
    // what no flag names is not looked at
    record.partition = -77;
    record.timestamp_ms = -77;
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);

    uint32_t wrong[] = {8, 16, 1u << 31, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        record.flags = wrong[i];
        CODE(kurier_producer_send(producer, &record, -1), INVALID);
    }
    record.flags = 0;
    record.reserved = 1;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), INVALID);
    CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN && delivery.code == INVALID && delivery.offset == -1);
    record.reserved = 0;
    record.flags = KURIER_RECORD_TIMESTAMP;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.flags = KURIER_RECORD_PARTITION;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.partition = 4;
    CODE(kurier_producer_send(producer, &record, 0), KURIER_CODE_UNKNOWN_PARTITION);
    record.flags = 0;

    // a zeroed header is an empty name with a null value
    kurier_header header = {0};
    record.headers = &header;
    record.header_count = 1;
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);
    record.header_count = 0;

    record.topic = 0;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.topic = topic(other, "payments");
    CHECK(record.topic != topic(producer, "payments"));
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.topic = topic(producer, "payments") + 1;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);

    stop(other);
    stop(producer);
    return 0;
}
