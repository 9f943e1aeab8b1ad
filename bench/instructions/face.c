// The calls of an application, counted: everything that `counted` does, in this thread, and nothing else.
//
//     face PATH
//
// Prints how many records were counted.

#define _GNU_SOURCE

#include <kurier.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS = 3, RECORDS = 4000, RUN = 100, VALUE_BYTES = 100, KEY_BYTES = 16 };

static kurier_producer *producer;
static kurier_record records[RECORDS];
static char values[VALUE_BYTES], keys[RECORDS][KEY_BYTES + 1];
static kurier_delivery deliveries[RUN];
static kurier_code failure;
static size_t done;

// The calendar stands still: else a record's width would follow from how fast the machine is. The library asks no other
// clock for it; what others show is true, because threads wait by them.
int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, time);
    *time = (struct timespec){.tv_sec = 1795305600};
    return 0;
}

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "face: %s: %s\n", what, why);
    exit(2);
}

static void ok(kurier_code code, const char *what)
{
    if (code != KURIER_CODE_OK)
        fail(what, kurier_code_name(code));
}

static void send_each(void)
{
    for (size_t i = 0; i < RECORDS; i++)
        failure |= kurier_producer_send(producer, &records[i], -1);
    done = RECORDS;
}

static void send_runs(void)
{
    for (size_t i = 0; i < RECORDS; i += RUN) {
        size_t accepted;
        failure |= kurier_producer_send_batch(producer, &records[i], RUN, -1, &accepted);
        done += accepted;
    }
}

static void poll_all(void)
{
    size_t count = RUN;
    while (done < RECORDS && count == RUN) {
        failure |= kurier_producer_poll(producer, 0, deliveries, RUN, &count);
        done += count;
    }
}

// Callgrind is told to collect while it is inside this function.
__attribute__((noinline)) void counted(void (*work)(void))
{
    work();
    __asm__ volatile("" ::: "memory");
}

static void set(kurier_config *config, const char *name, const char *value)
{
    ok(kurier_config_set(config, name, value, NULL), name);
}

static void start(kurier_cluster *cluster)
{
    char address[64];
    size_t size;
    ok(kurier_cluster_address(cluster, address, sizeof address, &size), "address");
    kurier_config *config = kurier_config_new();
    set(config, "bootstrap.servers", address);
    set(config, "batch.size", "1000000");
    set(config, "buffer.memory", "268435456");
    // No batch ends but by being full or flushed.
    set(config, "linger.ms", "600000");
    set(config, "delivery.timeout.ms", "1200000");
    ok(kurier_producer_new(config, &producer, NULL), "producer");
    kurier_config_destroy(config);
}

// Until every partition has a batch of full size open, of which little is used: none ends while records are counted.
static void warm_up(uint32_t topic)
{
    kurier_record record = {.topic = topic, .value = values, .value_size = VALUE_BYTES,
                            .flags = KURIER_RECORD_PARTITION | KURIER_RECORD_QUIET};
    for (; record.partition < PARTITIONS; record.partition++)
        for (int i = 0; i < 3500; i++)
            ok(kurier_producer_send(producer, &record, -1), "warm-up");
}

int main(int count, char **arguments)
{
    const char *path = count == 2 ? arguments[1] : "";
    kurier_cluster *cluster;
    ok(kurier_cluster_new(1, &cluster, NULL), "cluster");
    ok(kurier_cluster_command(cluster, "create counted 3", NULL), "create");
    start(cluster);
    uint32_t topic;
    int32_t partitions;
    ok(kurier_producer_topic(producer, "counted", 7, &topic), "topic");
    ok(kurier_producer_partition_count(producer, topic, 60000, &partitions, NULL), "metadata");
    if (partitions != PARTITIONS)
        fail("metadata", "another number of partitions");
    warm_up(topic);

    static const kurier_header headers[] = {
        {.name = "trace-id", .value = "4bf92f3577b34da6", .name_size = 8, .value_size = 16},
        {.name = "source", .value = "checkout", .name_size = 6, .value_size = 8},
    };
    for (size_t i = 0; i < RECORDS; i++) {
        snprintf(keys[i], sizeof keys[i], "customer-%07zu", i);
        records[i] = (kurier_record){.topic = topic, .value = values, .value_size = VALUE_BYTES, .opaque = i};
        if (strcmp(path, "send_keyed") == 0) {
            records[i].key = keys[i];
            records[i].key_size = KEY_BYTES;
        } else if (strcmp(path, "send_two_headers") == 0) {
            records[i].headers = headers;
            records[i].header_count = 2;
        } else if (strcmp(path, "poll") == 0) {
            records[i].flags = KURIER_RECORD_PARTITION;
        }
    }
    if (strcmp(path, "send_batch") == 0) {
        counted(send_runs);
    } else if (strncmp(path, "send", 4) == 0) {
        counted(send_each);
    } else if (strcmp(path, "poll") == 0) {
        send_each();
        ok(kurier_producer_flush(producer, -1, NULL), "flush");
        // The network thread lets go of its locks; a count that met one would be higher, never lower.
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        done = 0;
        counted(poll_all);
    } else {
        fail(path, "there is no such path");
    }
    ok(failure, path);
    if (done != RECORDS)
        fail(path, "not every record went through");
    printf("%d\n", RECORDS);
    fflush(stdout);
    // What is open is nobody's concern any more.
    _exit(0);
}
