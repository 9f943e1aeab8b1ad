// What applications get wrong: NULL everywhere, handles of another kind, settings, sizes, a full buffer.
#include "check.h"

#define NULLS(call) CODE((call), KURIER_CODE_NULL_POINTER)

static void null_handles(void)
{
    kurier_error error = {0};
    kurier_record record = {0};
    kurier_delivery delivery;
    char buffer[8];
    size_t size;
    uint32_t id;
    int32_t count;
    const char *name;

    NULLS(kurier_config_set(NULL, "acks", "all", &error));
    CHECK(error.code == KURIER_CODE_NULL_POINTER && error.message[0]);
    NULLS(kurier_config_load(NULL, "", 0, NULL));
    NULLS(kurier_config_get(NULL, "acks", buffer, 8, &size));
    NULLS(kurier_config_set_partitioner(NULL, NULL, NULL));
    NULLS(kurier_config_set_key_serializer(NULL, NULL, NULL));
    NULLS(kurier_config_set_value_serializer(NULL, NULL, NULL));
    NULLS(kurier_config_set_delivery_callback(NULL, NULL, NULL));
    NULLS(kurier_config_set_ready_callback(NULL, NULL, NULL));
    NULLS(kurier_config_set_log_callback(NULL, NULL, NULL));
    NULLS(kurier_producer_new(NULL, NULL, NULL));
    NULLS(kurier_producer_close(NULL, 0, &error));
    NULLS(kurier_producer_status(NULL, &error));
    NULLS(kurier_producer_topic(NULL, "a", 1, &id));
    NULLS(kurier_producer_topic_name(NULL, 1, &name, &size));
    NULLS(kurier_producer_partition_count(NULL, 1, 0, &count, &error));
    NULLS(kurier_producer_send(NULL, &record, 0));
    NULLS(kurier_producer_send_batch(NULL, &record, 1, 0, &size));
    NULLS(kurier_producer_send_object(NULL, &record, 0));
    NULLS(kurier_producer_send_wait(NULL, &record, 0, &delivery, &error));
    NULLS(kurier_producer_poll(NULL, 0, &delivery, 1, &size));
    NULLS(kurier_producer_wake(NULL));
    CHECK(kurier_producer_pending(NULL) == 0);
    NULLS(kurier_producer_flush(NULL, 0, &error));
    NULLS(kurier_producer_purge(NULL, 1, &size));
    NULLS(kurier_cluster_new(1, NULL, &error));
    NULLS(kurier_cluster_address(NULL, buffer, 8, &size));
    NULLS(kurier_cluster_command(NULL, "stop 1", &error));
}

// A handle of another type, or memory that was never one.
static void wrong_handles(kurier_producer *producer)
{
    kurier_error error = {0};
    kurier_config *config = kurier_config_new();
    uint64_t zeros[64] = {0};
    size_t size;
    void *wrong[] = {config, zeros, (char *)producer + 1, NULL};
    for (int i = 0; wrong[i]; i++) {
        CODE(kurier_producer_wake(wrong[i]), INVALID);
        CODE(kurier_producer_flush(wrong[i], 0, &error), INVALID);
        CHECK(kurier_producer_pending(wrong[i]) == 0);
        kurier_producer_destroy(wrong[i]);
        CODE(kurier_cluster_address(wrong[i], NULL, 0, &size), INVALID);
        kurier_cluster_destroy(wrong[i]);
    }
    CODE(kurier_config_set((kurier_config *)producer, "acks", "all", &error), INVALID);
    CODE(kurier_producer_new((kurier_config *)producer, &(kurier_producer *){0}, &error), INVALID);
    kurier_config_destroy((kurier_config *)producer);
    CODE(kurier_producer_wake(producer), OK);
    kurier_config_destroy(config);
}

static void wrong_settings(void)
{
    kurier_error error = {0};
    kurier_config *config = kurier_config_new();
    kurier_producer *producer;
    NULLS(kurier_config_set(config, NULL, "1", &error));
    NULLS(kurier_config_set(config, "acks", NULL, &error));
    NULLS(kurier_config_load(config, NULL, 0, &error));

    // none at all: there is nowhere to connect to
    CODE(kurier_producer_new(config, &producer, &error), INVALID);
    CHECK(strstr(error.message, "bootstrap.servers"));

    // misspelt: the message has the nearest name
    CODE(kurier_config_set(config, "linger.mss", "5", &error), INVALID);
    CHECK(strstr(error.message, "linger.mss") && strstr(error.message, "linger.ms"));
    CODE(kurier_config_set(config, "boostrap.servers", "localhost:9092", &error), INVALID);
    CHECK(strstr(error.message, "bootstrap.servers"));

    // not a value of it
    CODE(kurier_config_set(config, "linger.ms", "soon", &error), INVALID);
    CHECK(strstr(error.message, "linger.ms"));

    // contradictory: no guarantee gives way in silence
    CODE(kurier_config_set(config, "bootstrap.servers", "embedded:1", &error), OK);
    CODE(kurier_config_set(config, "acks", "1", &error), OK);
    CODE(kurier_producer_new(config, &producer, &error), INVALID);
    CHECK(strstr(error.message, "acks") && strstr(error.message, "enable.idempotence"));
    CODE(kurier_config_set(config, "enable.idempotence", "false", &error), OK);
    CODE(kurier_producer_new(config, &producer, &error), OK);
    stop(producer);

    // the same without an error to write to
    CODE(kurier_config_set(config, "linger.mss", "5", NULL), INVALID);
    kurier_config_destroy(config);
}

static void wrong_records(kurier_producer *producer)
{
    uint32_t payments = topic(producer, "payments");
    kurier_record record = record_of(payments, "k", "v");
    kurier_delivery delivery;
    kurier_error error = {0};
    size_t count;

    NULLS(kurier_producer_send(producer, NULL, -1));
    NULLS(kurier_producer_send_object(producer, NULL, -1));
    NULLS(kurier_producer_send_batch(producer, NULL, 1, -1, &count));
    NULLS(kurier_producer_send_wait(producer, NULL, -1, &delivery, &error));
    CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN && delivery.code == KURIER_CODE_NULL_POINTER);

    // larger than max.request.size, than a record can be, than memory can be
    static char large[2000000];
    record.value = large;
    record.value_size = sizeof large;
    CODE(kurier_producer_send(producer, &record, -1), KURIER_CODE_RECORD_TOO_LARGE);
    record.value_size = (size_t)1 << 31;
    CODE(kurier_producer_send(producer, &record, -1), KURIER_CODE_RECORD_TOO_LARGE);
    record.value_size = SIZE_MAX;
    CODE(kurier_producer_send(producer, &record, -1), KURIER_CODE_RECORD_TOO_LARGE);
    record.value_size = 1;
    record.key_size = SIZE_MAX;
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, &error), KURIER_CODE_RECORD_TOO_LARGE);
    CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN && error.message[0]);
    record.key_size = 1;
    kurier_header header = {"n", large, 1, sizeof large};
    record.headers = &header;
    record.header_count = 1;
    CODE(kurier_producer_send(producer, &record, -1), KURIER_CODE_RECORD_TOO_LARGE);
    record.header_count = SIZE_MAX;
    CODE(kurier_producer_send(producer, &record, -1), KURIER_CODE_RECORD_TOO_LARGE);
    record.header_count = 0;

    // poll
    CODE(kurier_producer_poll(producer, 0, &delivery, 0, &count), INVALID);
    CODE(kurier_producer_poll(producer, 0, &delivery, SIZE_MAX, &count), INVALID);
    NULLS(kurier_producer_poll(producer, 0, NULL, 1, &count));

    // structs need not be aligned: bindings pack them
    char packed[sizeof record + 1];
    memcpy(packed + 1, &record, sizeof record);
    CODE(kurier_producer_send_wait(producer, (void *)(packed + 1), -1, &delivery, &error), OK);
    CHECK(kurier_producer_pending(producer) == 0);
}

// Who never polls gets QUEUE_FULL, not a full machine; and can go on as soon as there is room.
static void full_buffer(void)
{
    kurier_producer *producer = start("buffer.memory=1000000\nbatch.size=16384\nlinger.ms=0\n");
    static char value[1000];
    kurier_record record = record_of(topic(producer, "payments"), NULL, NULL);
    record.value = value;
    record.value_size = sizeof value;
    kurier_delivery deliveries[64];
    size_t accepted = 0, delivered = 0, count;
    kurier_code code;
    CODE(kurier_producer_partition_count(producer, record.topic, -1, &(int32_t){0}, NULL), OK);
    while ((code = kurier_producer_send(producer, &record, 0)) == OK)
        CHECK(++accepted < 2000);
    CODE(code, KURIER_CODE_QUEUE_FULL);
    CHECK(accepted > 100);
    CHECK(kurier_producer_pending(producer) == accepted);
    while (delivered < accepted) {
        CODE(kurier_producer_poll(producer, -1, deliveries, 64, &count), OK);
        delivered += count;
    }
    CHECK(delivered == accepted);
    CODE(kurier_producer_send(producer, &record, -1), OK);
    drain(producer, 1);
    stop(producer);
}

static void wrong_commands(void)
{
    kurier_cluster *cluster;
    kurier_error error = {0};
    CODE(kurier_cluster_new(1, &cluster, &error), OK);
    NULLS(kurier_cluster_command(cluster, NULL, &error));
    const char *wrong[] = {"", "dance", "stop", "stop 99", "create", "delay soon", "\xff"};
    for (int i = 0; i < 7; i++) {
        CODE(kurier_cluster_command(cluster, wrong[i], &error), INVALID);
        CHECK(error.message[0]);
    }
    CODE(kurier_cluster_command(cluster, "create payments 6", &error), OK);
    kurier_cluster_destroy(cluster);
}

int main(void)
{
    kurier_producer *producer = start("");
    null_handles();
    wrong_handles(producer);
    wrong_settings();
    wrong_records(producer);
    full_buffer();
    wrong_commands();
    stop(producer);
    return 0;
}
