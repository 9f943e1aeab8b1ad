// Sends records whose bytes follow from their number, and journals what was accepted and what became of it.
//
// The journal is entries of 32 bytes, appended by plain writes: a SIGKILL loses only what was not reported yet.

#define _GNU_SOURCE

#include "driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// ---- the journal ----

typedef struct {
    uint8_t kind, thread, outcome, unused;
    int16_t code;
    uint16_t partition;
    uint32_t number, amount; // a count of records, or microseconds
    int64_t offset, timestamp_ms;
} entry;

_Static_assert(sizeof(entry) == 32, "the harness reads 32 bytes");

enum { KIND_ACCEPTED = 1, KIND_DELIVERY, KIND_REFUSED, KIND_STATE, KIND_FATAL, KIND_END };

static int journal = -1;
static options o;
static atomic_int stopping, sending;
static _Atomic uint64_t *sent_at[THREADS_MAX];
static entry waiting[4096];
static size_t waiting_count;

static void append(const entry *entries, size_t count)
{
    const char *from = (const char *)entries;
    size_t left = count * sizeof *entries;
    // One write is one piece of the file, whichever thread it comes from.
    while (left > 0) {
        ssize_t done = write(journal, from, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            perror("journal");
            _exit(3);
        }
        from += done;
        left -= (size_t)done;
    }
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void deliver(uint64_t opaque, int outcome, int code, int32_t partition, int64_t offset, int64_t timestamp_ms)
{
    unsigned thread = (unsigned)(opaque >> 32);
    uint32_t number = (uint32_t)opaque;
    uint64_t sent = thread < o.threads ? atomic_load(&sent_at[thread][number % OUTSTANDING_MAX]) : 0;
    uint64_t latency_us = now_us() - sent;
    waiting[waiting_count++] = (entry){.kind = KIND_DELIVERY, .thread = (uint8_t)thread, .outcome = (uint8_t)outcome,
                                       .code = (int16_t)code, .partition = (uint16_t)partition, .number = number,
                                       .amount = latency_us > UINT32_MAX ? UINT32_MAX : (uint32_t)latency_us,
                                       .offset = offset, .timestamp_ms = timestamp_ms};
    if (waiting_count == sizeof waiting / sizeof *waiting) {
        append(waiting, waiting_count);
        waiting_count = 0;
    }
}

void journal_fatal(int code)
{
    entry fatal = {.kind = KIND_FATAL, .code = (int16_t)code};
    append(&fatal, 1);
}

static long status_value(const char *name)
{
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = atol(line + strlen(name));
    if (file)
        fclose(file);
    return value;
}

// Memory, threads and descriptors of this process, at one of the moments 0 (before), 1 (closed), 2 (destroyed).
static void journal_state(unsigned moment)
{
    unsigned descriptors = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory))
        descriptors++;
    if (directory)
        closedir(directory);
    entry state = {.kind = KIND_STATE, .number = moment, .partition = (uint16_t)status_value("Threads:"),
                   .amount = descriptors, .offset = status_value("VmRSS:"), .timestamp_ms = status_value("VmHWM:")};
    append(&state, 1);
}

// ---- records ----

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t hash(uint64_t state, const void *bytes, size_t size)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < size; i++)
        state = (state ^ byte[i]) * 0x100000001b3u;
    return state;
}

static void put(uint8_t *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

typedef struct {
    uint8_t key[4], number[4], value[VALUE_MAX];
    header headers[3];
} room;

// The same in src/payload.rs, java/Drive.java and franz/main.go.
static content make(room *r, unsigned thread, uint32_t number)
{
    uint64_t h = mix((uint64_t)o.run << 40 | (uint64_t)thread << 32 | number);
    content c = {.thread = thread, .number = number, .partition = -1, .timestamp_ms = -1,
                 .value = r->value, .opaque = (uint64_t)thread << 32 | number};
    if ((h & 3) == 0)
        c.partition = (int32_t)((h >> 8 & 0xffff) % (uint64_t)o.topics[thread].partitions);
    if ((h & 3) == 1 || (h & 3) == 2) {
        uint64_t key = (h >> 24) % 1000;
        put(r->key, key, 4);
        c.key = r->key;
        c.key_size = key == 0 ? 0 : 4;
    }
    if ((h >> 2 & 7) == 0) {
        put(r->number, number, 4);
        r->headers[0] = (header){"a", r->number, 4};
        r->headers[1] = (header){"a", NULL, 0};
        r->headers[2] = (header){"\xc3\xbc", "", 0};
        c.headers = r->headers;
        c.header_count = 3;
    }
    if (o.epoch_ms > 0 && (h >> 5 & 7) == 1)
        c.timestamp_ms = o.epoch_ms + number % 60000;
    c.value_size = o.value_size + (h >> 40 & 15) + ((h >> 44 & 0x3fff) == 0 ? 20000 : 0);
    put(r->value + 8, o.run, 4);
    put(r->value + 12, (uint32_t)c.partition, 4);
    put(r->value + 16, thread, 4);
    put(r->value + 20, number, 4);
    for (size_t i = 24; i < c.value_size; i++)
        r->value[i] = (uint8_t)(h >> 8 * (i & 7) ^ i);
    uint64_t sum = hash(0x6b75726965726b65u, r->value + 8, c.value_size - 8);
    sum = hash(sum, c.key, c.key_size);
    for (size_t i = 0; i < c.header_count; i++) {
        sum = hash(sum, c.headers[i].name, strlen(c.headers[i].name));
        sum = hash(sum, c.headers[i].value, c.headers[i].value_size);
    }
    put(r->value, mix(sum), 8);
    return c;
}

// ---- threads ----

static void journal_accepted(unsigned thread, uint32_t *from, uint32_t to)
{
    if (*from == to)
        return;
    entry accepted = {.kind = KIND_ACCEPTED, .thread = (uint8_t)thread, .number = *from, .amount = to - *from};
    append(&accepted, 1);
    *from = to;
}

static void rest(long us)
{
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

static void *send_records(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    room *r = calloc(1, sizeof *r);
    double interval_us = o.rate > 0 ? 1e6 * o.threads / o.rate : 0;
    uint64_t began = now_us(), told = began;
    uint32_t reported = 0, number = 0;
    int refused = 0;
    while (!stopping && (o.records == 0 || number < o.records)) {
        uint64_t now = now_us();
        if (now - told > 10000 || number - reported == 1024) {
            journal_accepted(thread, &reported, number);
            told = now;
        }
        if (interval_us > 0 && (double)(now - began) < number * interval_us) {
            rest(1000);
            continue;
        }
        content record = make(r, thread, number);
        int code = 0;
        atomic_store(&sent_at[thread][number % OUTSTANDING_MAX], now);
        int answer = client_send(&record, &code);
        if (answer == ACCEPTED) {
            number++;
            refused = 0;
            continue;
        }
        if (!refused) {
            entry refusal = {.kind = KIND_REFUSED, .thread = (uint8_t)thread, .code = (int16_t)code, .number = number};
            append(&refusal, 1);
        }
        refused = 1;
        if (answer == ENDED)
            break;
        if (answer == REFUSED)
            rest(20000);
    }
    journal_accepted(thread, &reported, number);
    free(r);
    atomic_fetch_sub(&sending, 1);
    return NULL;
}

static void *read_deliveries(void *unused)
{
    (void)unused;
    for (int more = 1; more;) {
        more = client_read();
        append(waiting, waiting_count);
        waiting_count = 0;
    }
    return NULL;
}

// ---- start and end ----

static int parse(int count, char **arguments)
{
    if (count < 10)
        return 0;
    o.servers = arguments[1];
    journal = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    o.run = (uint32_t)strtoul(arguments[3], NULL, 10);
    o.threads = (unsigned)strtoul(arguments[4], NULL, 10);
    o.records = strtoull(arguments[5], NULL, 10);
    o.rate = strtod(arguments[6], NULL);
    o.value_size = strtoul(arguments[7], NULL, 10);
    o.epoch_ms = strtoll(arguments[8], NULL, 10);
    if (journal < 0 || o.threads < 1 || o.threads > THREADS_MAX || o.value_size < FILL_MIN || o.value_size > 30000)
        return 0;
    // Threads beyond the last topic begin again with the first.
    const char *topic = arguments[9];
    for (unsigned i = 0; i < o.threads; i++) {
        int used = 0;
        if (sscanf(topic, "%63[^:,]:%d%n", o.topics[i].name, &o.topics[i].partitions, &used) != 2)
            return 0;
        topic = topic[used] == ',' ? topic + used + 1 : arguments[9];
    }
    for (int i = 10; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (!value || o.settings == SETTINGS_MAX)
            return 0;
        *value++ = 0;
        o.names[o.settings] = arguments[i];
        o.values[o.settings++] = value;
    }
    return 1;
}

int main(int count, char **arguments)
{
    if (!parse(count, arguments)) {
        fprintf(stderr, "driver SERVERS JOURNAL RUN THREADS RECORDS RATE VALUE_SIZE EPOCH_MS TOPIC:PARTITIONS[,...] "
                        "[NAME=VALUE ...]\n");
        return 2;
    }
    for (unsigned i = 0; i < o.threads; i++) {
        sent_at[i] = malloc(OUTSTANDING_MAX * sizeof **sent_at);
        // Touched now, so that it belongs to the memory before.
        memset((void *)sent_at[i], 1, OUTSTANDING_MAX * sizeof **sent_at);
    }
    journal_state(0);
    if (client_start(&o) != 0)
        return 2;
    pthread_t reader, senders[THREADS_MAX];
    atomic_store(&sending, (int)o.threads);
    pthread_create(&reader, NULL, read_deliveries, NULL);
    for (unsigned i = 0; i < o.threads; i++)
        pthread_create(&senders[i], NULL, send_records, (void *)(uintptr_t)i);
    char byte;
    // Whoever started us says when it is enough, by closing our standard input; should it die, the same happens.
    while (!stopping && sending > 0) {
        struct pollfd input = {.fd = 0, .events = POLLIN};
        if (poll(&input, 1, 100) > 0 && read(0, &byte, 1) <= 0)
            stopping = 1;
    }
    for (unsigned i = 0; i < o.threads; i++)
        pthread_join(senders[i], NULL);
    client_close();
    pthread_join(reader, NULL);
    journal_state(1);
    client_destroy();
    journal_state(2);
    entry end = {.kind = KIND_END};
    append(&end, 1);
    return 0;
}
