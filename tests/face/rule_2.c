// Rule 2: every fallible call returns a code; outputs are required, and on failure counts are 0 and handles NULL.
#include "check.h"

int main(void)
{
    kurier_config *config = settings("");
    kurier_producer *producer = (kurier_producer *)&config;
    kurier_error error = {0};
    size_t size = 7, count = 7;
    int32_t partitions = 7;
    uint32_t id = 7;
    const char *name = "x";
    kurier_delivery delivery;

    // handles
    CODE(kurier_config_set(config, "acks", "1", &error), OK);
    CODE(kurier_producer_new(config, &producer, &error), INVALID);
    CHECK(producer == NULL);
    CHECK(error.code == INVALID && error.message[0]);
    producer = (kurier_producer *)&config;
    CODE(kurier_producer_new(NULL, &producer, NULL), KURIER_CODE_NULL_POINTER);
    CHECK(producer == NULL);
    CODE(kurier_producer_new(config, NULL, NULL), KURIER_CODE_NULL_POINTER);
    kurier_cluster *cluster = (kurier_cluster *)&config;
    CODE(kurier_cluster_new(10, &cluster, &error), INVALID);
    CHECK(cluster == NULL);
    CODE(kurier_cluster_new(0, &cluster, NULL), INVALID);
    CODE(kurier_cluster_new(1, NULL, NULL), KURIER_CODE_NULL_POINTER);
    kurier_config_destroy(config);

    // counts, ids, names
    producer = start("");
    CODE(kurier_producer_topic(producer, "not/allowed", 11, &id), INVALID);
    CHECK(id == 0);
    CODE(kurier_producer_topic_name(producer, 0, &name, &size), INVALID);
    CHECK(name == NULL && size == 0);
    CODE(kurier_producer_partition_count(producer, 0, 0, &partitions, NULL), INVALID);
    CHECK(partitions == 0);
    CODE(kurier_producer_poll(producer, -2, &delivery, 1, &count), INVALID);
    CHECK(count == 0);
    count = 7;
    CODE(kurier_producer_purge(producer, 8, &count), INVALID);
    CHECK(count == 0);

    // except `accepted`: the first two are in, the code is about the third
    uint32_t payments = topic(producer, "payments");
    CODE(kurier_producer_partition_count(producer, payments, -1, &partitions, &error), OK);
    CHECK(partitions == 4);
    kurier_record records[4];
    for (int i = 0; i < 4; i++)
        records[i] = record_of(payments, "k", "v");
    records[2].reserved = 1;
    CODE(kurier_producer_send_batch(producer, records, 4, -1, &count), INVALID);
    CHECK(count == 2);
    CODE(kurier_producer_send_batch(producer, records + 3, 1, -1, &count), OK);
    CHECK(count == 1);
    CODE(kurier_producer_send_batch(producer, NULL, 0, -1, &count), OK);
    CHECK(count == 0);
    drain(producer, 3);

    // outputs are required
    CODE(kurier_producer_topic(producer, "a", 1, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_topic_name(producer, payments, NULL, &size), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_topic_name(producer, payments, &name, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_partition_count(producer, payments, -1, NULL, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_send_batch(producer, records, 2, -1, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_send_wait(producer, records, -1, NULL, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_poll(producer, 0, &delivery, 1, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_poll(producer, 0, NULL, 1, &count), KURIER_CODE_NULL_POINTER);
    CODE(kurier_producer_purge(producer, KURIER_PURGE_QUEUED, NULL), KURIER_CODE_NULL_POINTER);
    CHECK(kurier_producer_pending(producer) == 0);

    stop(producer);
    return 0;
}
