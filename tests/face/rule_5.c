// Rule 5: only config, producer and cluster are destroyed, NULL is fine, and nothing else needs freeing.
// A leak check (valgrind --leak-check=full) sees the rest.
#include "check.h"

int main(void)
{
    kurier_config_destroy(NULL);
    kurier_producer_destroy(NULL);
    kurier_cluster_destroy(NULL);

    // settings may make more producers, and end before them
    kurier_config *config = settings("client.id=first\n");
    kurier_producer *first, *second;
    CODE(kurier_producer_new(config, &first, NULL), OK);
    CODE(kurier_config_set(config, "client.id", "second", NULL), OK);
    CODE(kurier_producer_new(config, &second, NULL), OK);
    kurier_config_destroy(config);
    kurier_record record = record_of(topic(first, "payments"), "k", "v");
    CODE(kurier_producer_send(first, &record, -1), OK);
    record.topic = topic(second, "payments");
    CODE(kurier_producer_send(second, &record, -1), OK);
    drain(first, 1);
    drain(second, 1);

    // without close, with deliveries that nobody read
    CODE(kurier_producer_send(second, &record, -1), OK);
    CODE(kurier_producer_flush(second, -1, NULL), OK);
    kurier_producer_destroy(second);
    stop(first);

    // a cluster may end before its producers
    kurier_cluster *cluster;
    char address[256], line[300];
    size_t size;
    CODE(kurier_cluster_new(2, &cluster, NULL), OK);
    CODE(kurier_cluster_address(cluster, address, sizeof address, &size), OK);
    CHECK(size == strlen(address) && strchr(address, ','));
    snprintf(line, sizeof line, "bootstrap.servers=%s\ndelivery.timeout.ms=5000\n", address);
    kurier_producer *producer = start(line);
    record.topic = topic(producer, "payments");
    CODE(kurier_producer_send(producer, &record, -1), OK);
    drain(producer, 1);
    kurier_cluster_destroy(cluster);
    kurier_producer_destroy(producer);

    // static texts stay
    CHECK(strcmp(kurier_code_name(KURIER_CODE_QUEUE_FULL), "QUEUE_FULL") == 0);
    CHECK(strcmp(kurier_broker_code_name(6), "NOT_LEADER_OR_FOLLOWER") == 0);
    CHECK(kurier_config_name(0) != NULL && kurier_config_name(SIZE_MAX) == NULL);
    return 0;
}
