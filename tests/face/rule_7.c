// Rule 7: callbacks get their userdata; what works inside and what does not; after close none runs.
#include "check.h"

#include <stdatomic.h>

static kurier_producer *_Atomic producer;
static uint32_t payments;
static atomic_int ran, over;
static int mark_delivery, mark_ready, mark_partitioner, mark_serializer, mark_log;

// What only waits never works inside a callback; destroy does nothing.
static void never(kurier_producer *p)
{
    kurier_error error = {0};
    kurier_delivery delivery;
    kurier_record record = record_of(payments, NULL, "never");
    CODE(kurier_producer_flush(p, 0, &error), KURIER_CODE_WRONG_THREAD);
    CHECK(error.code == KURIER_CODE_WRONG_THREAD && error.message[0]);
    CODE(kurier_producer_close(p, 0, &error), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_send_wait(p, &record, -1, &delivery, &error), KURIER_CODE_WRONG_THREAD);
    CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN);
    kurier_producer_destroy(p);
}

// Inside all but the delivery callback.
static void little(kurier_producer *p)
{
    const char *name;
    size_t size, count;
    int32_t partitions;
    uint32_t id;
    kurier_delivery delivery;
    kurier_record record = record_of(payments, NULL, "never");
    never(p);
    CODE(kurier_producer_topic_name(p, payments, &name, &size), OK);
    CHECK(size == 8);
    CODE(kurier_producer_partition_count(p, payments, 0, &partitions, NULL), OK);
    CHECK(partitions == 4);
    kurier_producer_pending(p);
    CODE(kurier_producer_wake(p), OK);
    CODE(kurier_producer_send(p, &record, 0), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_send_object(p, &record, 0), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_send_batch(p, &record, 1, 0, &count), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_topic(p, "x", 1, &id), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_poll(p, 0, &delivery, 1, &count), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_purge(p, KURIER_PURGE_QUEUED, &count), KURIER_CODE_WRONG_THREAD);
    CODE(kurier_producer_status(p, NULL), KURIER_CODE_WRONG_THREAD);
}

static void on_delivery(void *userdata, const kurier_delivery *deliveries, size_t count)
{
    CHECK(userdata == &mark_delivery && !atomic_load(&over));
    for (size_t i = 0; i < count; i++) {
        CODE(deliveries[i].code, OK);
        if (deliveries[i].opaque != 1)
            continue;
        kurier_producer *p = atomic_load(&producer);
        never(p);
        // whoever answers a delivery with a record may; even a timeout of -1 does not wait
        kurier_record record = record_of(payments, NULL, "again");
        record.opaque = 2;
        CODE(kurier_producer_send(p, &record, -1), OK);
        CODE(kurier_producer_status(p, NULL), OK);
    }
    atomic_fetch_add(&ran, (int)count);
}

static void on_ready(void *userdata)
{
    CHECK(userdata == &mark_ready && !atomic_load(&over));
    kurier_producer *p = atomic_load(&producer);
    if (p && atomic_fetch_add(&ran, 1) == 0)
        little(p);
}

static int32_t partitioner(void *userdata, uint32_t id, const void *key, size_t key_size, int32_t partition_count)
{
    CHECK(userdata == &mark_partitioner && id == payments && partition_count == 4);
    CHECK(key_size == 3 && memcmp(key, "key", 3) == 0);
    if (atomic_fetch_add(&ran, 1) == 0)
        little(atomic_load(&producer));
    return 3;
}

static int64_t serializer(void *userdata, uint32_t id, const void *object, size_t size, void *buffer, size_t capacity)
{
    CHECK(userdata == &mark_serializer && id == payments && size == sizeof(int));
    if (atomic_fetch_add(&ran, 1) == 0)
        little(atomic_load(&producer));
    return snprintf(buffer, capacity, "%0100d", *(const int *)object);
}

static void on_log(void *userdata, int32_t level, const char *text, size_t size)
{
    CHECK(userdata == &mark_log && !atomic_load(&over));
    CHECK(level >= KURIER_LOG_ERROR && level <= KURIER_LOG_DEBUG);
    CHECK(size > 0 && !memchr(text, '\n', size) && !memchr(text, 0, size));
    kurier_producer *p = atomic_load(&producer);
    kurier_error error = {0};
    if (p)
        CODE(kurier_producer_flush(p, 0, &error), KURIER_CODE_WRONG_THREAD);
    atomic_fetch_add(&ran, 1);
}

static void begin(kurier_config *config)
{
    atomic_store(&ran, 0);
    atomic_store(&over, 0);
    kurier_producer *p = producer_of(config);
    int32_t count;
    payments = topic(p, "payments");
    CODE(kurier_producer_partition_count(p, payments, -1, &count, NULL), OK);
    atomic_store(&producer, p);
}

static void end(void)
{
    kurier_producer *p = atomic_load(&producer);
    CODE(kurier_producer_close(p, -1, NULL), OK);
    atomic_store(&over, 1);
    atomic_store(&producer, NULL);
    kurier_producer_destroy(p);
}

int main(void)
{
    kurier_config *config = settings("");
    CODE(kurier_config_set_delivery_callback(config, &mark_delivery, on_delivery), OK);
    begin(config);
    kurier_record record = record_of(payments, "key", "v");
    record.opaque = 1;
    CODE(kurier_producer_send(producer, &record, -1), OK);
    while (atomic_load(&ran) < 2)
        CODE(kurier_producer_flush(producer, -1, NULL), OK);
    end();
    CHECK(atomic_load(&ran) == 2);

    config = settings("");
    CODE(kurier_config_set_ready_callback(config, &mark_ready, on_ready), OK);
    begin(config);
    record = record_of(payments, "key", "v");
    CODE(kurier_producer_send(producer, &record, -1), OK);
    CODE(kurier_producer_flush(producer, -1, NULL), OK);
    kurier_delivery delivery;
    size_t count;
    do
        CODE(kurier_producer_poll(producer, -1, &delivery, 1, &count), OK);
    while (count == 0);
    CODE(delivery.code, OK);
    end();
    CHECK(atomic_load(&ran) >= 1);

    config = settings("");
    CODE(kurier_config_set_partitioner(config, &mark_partitioner, partitioner), OK);
    begin(config);
    record = record_of(payments, "key", "v");
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);
    CHECK(delivery.partition == 3);
    end();
    CHECK(atomic_load(&ran) == 1);

    config = settings("");
    CODE(kurier_config_set_value_serializer(config, &mark_serializer, serializer), OK);
    begin(config);
    int object = 7;
    record = record_of(payments, "key", NULL);
    record.value = &object;
    record.value_size = sizeof object;
    CODE(kurier_producer_send_object(producer, &record, -1), OK);
    do
        CODE(kurier_producer_poll(producer, -1, &delivery, 1, &count), OK);
    while (count == 0);
    CODE(delivery.code, OK);
    end();
    CHECK(atomic_load(&ran) >= 1);

    config = settings("log.level=debug\n");
    CODE(kurier_config_set_log_callback(config, &mark_log, on_log), OK);
    begin(config);
    record = record_of(payments, "key", "v");
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);
    end();
    CHECK(atomic_load(&ran) >= 1);
    return 0;
}
