// How fast one thread sends: records of a given size, no key, deliveries polled by a second thread.
//
//     first_figure SERVERS RECORDS BYTES [NAME=VALUE ...]
//
// Prints records per second until the last delivery, and the CPU time of this process per record.

#include <kurier.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static kurier_producer *producer;
static long records, delivered, failed;

static double seconds(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *read_deliveries(void *unused)
{
    static kurier_delivery deliveries[4096];
    (void)unused;
    while (delivered + failed < records) {
        size_t count = 0;
        if (kurier_producer_poll(producer, 1000, deliveries, 4096, &count) != KURIER_CODE_OK)
            break;
        for (size_t i = 0; i < count; i++) {
            if (deliveries[i].code == KURIER_CODE_OK)
                delivered++;
            else
                failed++;
        }
    }
    return NULL;
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "first_figure SERVERS RECORDS BYTES [NAME=VALUE ...]\n");
        return 2;
    }
    kurier_error error = {0};
    kurier_config *config = kurier_config_new();
    int bad = kurier_config_set(config, "bootstrap.servers", arguments[1], &error) != KURIER_CODE_OK;
    for (int i = 4; i < count && !bad; i++) {
        char *value = strchr(arguments[i], '=');
        if (value)
            *value++ = 0;
        bad = !value || kurier_config_set(config, arguments[i], value, &error) != KURIER_CODE_OK;
    }
    if (bad || kurier_producer_new(config, &producer, &error) != KURIER_CODE_OK) {
        fprintf(stderr, "first_figure: %s\n", error.message);
        return 2;
    }
    kurier_config_destroy(config);

    records = atol(arguments[2]);
    size_t bytes = (size_t)atol(arguments[3]);
    char *value = calloc(1, bytes + 1);
    unsigned long long random = 88172645463325252ULL;
    for (size_t i = 0; i < bytes; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        value[i] = (char)random;
    }
    kurier_record record = {.value = value, .value_size = bytes};
    int32_t partitions;
    if (kurier_producer_topic(producer, "figure", 6, &record.topic) != KURIER_CODE_OK ||
        kurier_producer_partition_count(producer, record.topic, 10000, &partitions, &error) != KURIER_CODE_OK) {
        fprintf(stderr, "first_figure: %s\n", error.message);
        return 2;
    }

    pthread_t reader;
    double start = seconds(CLOCK_MONOTONIC);
    pthread_create(&reader, NULL, read_deliveries, NULL);
    for (long i = 0; i < records; i++) {
        record.opaque = (uint64_t)i;
        kurier_code code = kurier_producer_send(producer, &record, -1);
        if (code != KURIER_CODE_OK) {
            fprintf(stderr, "first_figure: record %ld: %s\n", i, kurier_code_name(code));
            return 1;
        }
    }
    pthread_join(reader, NULL);
    double wall = seconds(CLOCK_MONOTONIC) - start;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%ld records of %zu bytes in %.2f s: %.2f M/s, %.0f ns of CPU per record, %ld failed, %ld MB\n",
           records, bytes, wall, (double)records / wall / 1e6, cpu * 1e9 / (double)records, failed,
           usage.ru_maxrss / 1024);
    kurier_producer_destroy(producer);
    return failed != 0;
}
