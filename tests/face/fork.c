// After fork the child's calls answer FORKED at once, destroy does nothing, and the parent goes on as if nothing was
// (librdkafka #4869, confluent-kafka-python #172: the child hangs without a word).
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKED(call) CODE((call), KURIER_CODE_FORKED)

static void child(kurier_config *config, kurier_producer *producer, kurier_cluster *cluster, uint32_t payments)
{
    kurier_error error = {0};
    kurier_record record = record_of(payments, "k", "v");
    kurier_delivery delivery;
    kurier_producer *made = producer;
    char buffer[8];
    size_t size = 7;
    uint32_t id = 7;
    int32_t count = 7;
    const char *name;

    alarm(60);
    FORKED(kurier_producer_send(producer, &record, -1));
    FORKED(kurier_producer_send_batch(producer, &record, 1, -1, &size));
    CHECK(size == 0);
    FORKED(kurier_producer_send_object(producer, &record, -1));
    FORKED(kurier_producer_send_wait(producer, &record, -1, &delivery, &error));
    CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN && error.code == KURIER_CODE_FORKED && error.message[0]);
    FORKED(kurier_producer_poll(producer, -1, &delivery, 1, &size));
    FORKED(kurier_producer_wake(producer));
    CHECK(kurier_producer_pending(producer) == 0);
    FORKED(kurier_producer_flush(producer, -1, &error));
    FORKED(kurier_producer_purge(producer, KURIER_PURGE_QUEUED, &size));
    FORKED(kurier_producer_status(producer, &error));
    FORKED(kurier_producer_topic(producer, "a", 1, &id));
    CHECK(id == 0);
    FORKED(kurier_producer_topic_name(producer, payments, &name, &size));
    FORKED(kurier_producer_partition_count(producer, payments, -1, &count, &error));
    CHECK(count == 0);
    FORKED(kurier_producer_close(producer, -1, &error));
    kurier_producer_destroy(producer);
    FORKED(kurier_producer_wake(producer));

    FORKED(kurier_config_set(config, "acks", "all", &error));
    FORKED(kurier_config_load(config, "", 0, &error));
    FORKED(kurier_config_get(config, "acks", buffer, 8, &size));
    FORKED(kurier_config_set_delivery_callback(config, NULL, NULL));
    FORKED(kurier_producer_new(config, &made, &error));
    CHECK(made == NULL);
    kurier_config_destroy(config);
    FORKED(kurier_config_load(config, "", 0, &error));

    FORKED(kurier_cluster_address(cluster, buffer, 8, &size));
    FORKED(kurier_cluster_command(cluster, "stop 1", &error));
    kurier_cluster_destroy(cluster);
    FORKED(kurier_cluster_address(cluster, buffer, 8, &size));

    // the child may make its own, and fork again
    made = start("");
    record.topic = topic(made, "payments");
    CODE(kurier_producer_send(made, &record, -1), OK);
    drain(made, 1);
    pid_t grandchild = fork();
    CHECK(grandchild >= 0);
    if (grandchild == 0) {
        FORKED(kurier_producer_wake(made));
        FORKED(kurier_producer_wake(producer));
        _exit(0);
    }
    int status;
    CHECK(waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stop(made);
    _exit(0);
}

int main(void)
{
    kurier_config *config = settings("linger.ms=20\n");
    kurier_producer *producer;
    kurier_cluster *cluster;
    CODE(kurier_producer_new(config, &producer, NULL), OK);
    CODE(kurier_cluster_new(1, &cluster, NULL), OK);
    kurier_record record = record_of(topic(producer, "payments"), "k", "v");
    for (int i = 0; i < 100; i++)
        CODE(kurier_producer_send(producer, &record, -1), OK);

    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        child(config, producer, cluster, record.topic);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    for (int i = 0; i < 100; i++)
        CODE(kurier_producer_send(producer, &record, -1), OK);
    drain(producer, 200);
    CODE(kurier_cluster_command(cluster, "create payments 6", NULL), OK);
    kurier_cluster_destroy(cluster);
    stop(producer);
    kurier_config_destroy(config);
    return 0;
}
