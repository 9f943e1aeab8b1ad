// Sends records as it is told, and prints in one line how long that took and how late deliveries came.

#include "driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// What the reader of deliveries counts shares no cache line with what senders read.
_Alignas(256) options o;
_Alignas(256) counts count;
const header headers[HEADERS] = {{"trace-id", "0af7651916cd43dd", 16}, {"source", "checkout", 8}};

_Alignas(256) static char *pool;
static size_t pool_count;
static uint64_t start_ns, one_sent_ns;
static double interval_ns;
static atomic_int bad;

// ---- latencies: counts by size, exact to 1/128 ----

enum { STEPS = 128, PLACES = STEPS * 58 };
static uint64_t latencies[PLACES], latency_max_ns;

static size_t place(uint64_t value)
{
    if (value < STEPS)
        return (size_t)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value) - 7;
    return STEPS * (power + 1) + (size_t)(value >> power) - STEPS;
}

// The largest value of a place.
static uint64_t bound(size_t place)
{
    if (place < STEPS)
        return place;
    unsigned power = (unsigned)(place / STEPS) - 1;
    return ((uint64_t)(place % STEPS + STEPS + 1) << power) - 1;
}

// When a record is to be sent: `burst` of them at once.
static inline uint64_t due_ns(uint64_t number)
{
    return start_ns + (uint64_t)((double)(number - number % o.burst) * interval_ns);
}

// From the moment at which the record was to be sent, not from that at which there was time to.
void count_latency(uint64_t number, uint64_t now)
{
    uint64_t sent_ns = o.outstanding ? one_sent_ns : due_ns(number);
    uint64_t latency_ns = now > sent_ns ? now - sent_ns : 0;
    latencies[place(latency_ns)]++;
    if (latency_ns > latency_max_ns)
        latency_max_ns = latency_ns;
}

static double percentile_us(double part)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < PLACES; i++)
        total += latencies[i];
    uint64_t rank = (uint64_t)((double)total * part + 0.999999);
    for (size_t i = 0; i < PLACES; i++) {
        seen += latencies[i];
        if (seen >= rank && seen > 0)
            return (double)(bound(i) < latency_max_ns ? bound(i) : latency_max_ns) / 1e3;
    }
    return 0;
}

// ---- records ----

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

// The values lie one behind the other in a file that all drivers share.
static int read_pool(void)
{
    FILE *file = fopen(o.payload, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return 1;
    pool_count = (size_t)ftell(file) / o.bytes;
    rewind(file);
    pool = malloc(pool_count * o.bytes);
    int is_read = pool_count > 0 && fread(pool, o.bytes, pool_count, file) == pool_count;
    fclose(file);
    return !is_read;
}

// The next of so many, `step` further: without a division, which would take longer than some clients take.
static inline uint64_t advance(uint64_t place, uint64_t step, uint64_t count)
{
    for (place += step; place >= count;)
        place -= count;
    return place;
}

// Which value and which key is next.
typedef struct {
    uint64_t value, key;
} places;

static inline content make(unsigned thread, uint64_t number, const places *next, uint64_t *key)
{
    content c = {.number = number, .partition = -1, .value = pool + next->value * o.bytes};
    if (o.keys > 0) {
        *key = mix(next->key);
        c.key = key;
        c.key_size = sizeof *key;
    }
    if (o.spread != SPREAD_AUTO)
        c.partition = o.spread == SPREAD_ROUND ? (int32_t)(number % (uint64_t)o.partitions)
                      : o.spread == SPREAD_OWN ? (int32_t)(thread % (unsigned)o.partitions)
                                               : 0;
    return c;
}

static void wait_until(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void *send_records(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    content run[RUN_MAX];
    uint64_t keys[RUN_MAX];
    places next = {.value = thread % pool_count, .key = o.keys > 0 ? thread % o.keys : 0};
    // The kernel may else be 50 us late.
    prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
    for (uint64_t number = thread; number < o.records && !bad;) {
        size_t size = 0;
        for (; size < o.run && number < o.records; size++, number += o.threads) {
            run[size] = make(thread, number, &next, &keys[size]);
            next.value = advance(next.value, o.threads, pool_count);
            if (o.keys > 0)
                next.key = advance(next.key, o.threads, o.keys);
        }
        if (o.rate > 0) {
            uint64_t due = due_ns(run[size - 1].number);
            if (now_ns() < due)
                wait_until(due);
        }
        if (client_send(run, size))
            bad = 1;
    }
    return NULL;
}

static void *read_deliveries(void *unused)
{
    (void)unused;
    while (count.good + count.failed < o.records && !bad)
        client_read(1000);
    count.last_ns = now_ns();
    return NULL;
}

// One record after the other, each when the one before it is back.
static void send_one_by_one(void)
{
    for (uint64_t number = 0; number < o.records && !bad; number++) {
        uint64_t key;
        places next = {.value = number % pool_count, .key = o.keys > 0 ? number % o.keys : 0};
        content record = make(0, number, &next, &key);
        one_sent_ns = now_ns();
        if (client_send(&record, 1))
            bad = 1;
        while (count.good + count.failed <= number && !bad)
            client_read(-1);
        if (number == 0)
            count.first_ns = now_ns();
    }
    count.last_ns = now_ns();
}

// One record goes ahead: what a client does once (librdkafka may wait half a second for its producer id) belongs to
// `cold`, not to every other figure.
static int warm(void)
{
    uint64_t key;
    content record = make(0, 0, &(places){0}, &key);
    if (client_send(&record, 1))
        return 1;
    while (count.good + count.failed == 0)
        client_read(1000);
    int has_failed = count.failed > 0;
    count = (counts){0};
    memset(latencies, 0, sizeof latencies);
    latency_max_ns = 0;
    return has_failed;
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static void wait_for_end_of_input(void)
{
    char byte;
    while (read(0, &byte, 1) > 0)
        ;
}

// ---- start and end ----

static int is_known(const char *name, const char *value)
{
    static const char *const spreads[] = {"auto", "round", "own", "one"};
    const struct {
        const char *name, **place;
    } texts[] = {{"bootstrap", &o.bootstrap}, {"topic", &o.topic}, {"codec", &o.codec}, {"acks", &o.acks},
                 {"payload", &o.payload}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].place = value;
            return 1;
        }
    if (strcmp(name, "spread") == 0) {
        for (int i = 0; i < 4; i++)
            if (strcmp(value, spreads[i]) == 0) {
                o.spread = i;
                return 1;
            }
        return 0;
    }
    double number = strtod(value, NULL);
#define NUMBER(field)                                                                                                  \
    if (strcmp(name, #field) == 0) {                                                                                   \
        o.field = (__typeof__(o.field))number;                                                                         \
        return 1;                                                                                                      \
    }
    NUMBER(records) NUMBER(bytes) NUMBER(keys) NUMBER(headers) NUMBER(partitions) NUMBER(rate) NUMBER(linger_us)
    NUMBER(idempotent) NUMBER(threads) NUMBER(outstanding) NUMBER(buffer_mb) NUMBER(run) NUMBER(cold) NUMBER(hold)
    NUMBER(idle_s) NUMBER(quiet_s) NUMBER(burst)
    return 0;
}

static int parse(int words, char **arguments)
{
    for (int i = 1; i < words; i++) {
        char *value = strchr(arguments[i], '=');
        if (value)
            *value++ = 0;
        if (!value || !is_known(arguments[i], value)) {
            fprintf(stderr, "driver: %s is not known\n", arguments[i]);
            return 1;
        }
    }
    int is_complete = o.bootstrap && o.topic && o.payload && o.records > 0 && o.bytes > 0;
    return !is_complete || o.threads < 1 || o.threads > THREADS_MAX || o.run < 1 || o.run > RUN_MAX || o.burst < 1 ||
           o.partitions < 1 || o.headers > HEADERS;
}

static void send_all(void)
{
    pthread_t reader, senders[THREADS_MAX];
    if (!o.hold)
        pthread_create(&reader, NULL, read_deliveries, NULL);
    for (unsigned i = 0; i < o.threads; i++)
        pthread_create(&senders[i], NULL, send_records, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < o.threads; i++)
        pthread_join(senders[i], NULL);
    if (!o.hold)
        pthread_join(reader, NULL);
}

int main(int words, char **arguments)
{
    o = (options){.codec = "none", .acks = "all", .partitions = 1, .idempotent = 1, .threads = 1, .run = 1, .burst = 1,
                  .linger_us = 5000, .buffer_mb = 64};
    if (parse(words, arguments) || read_pool()) {
        fprintf(stderr, "driver NAME=VALUE ..., see README.md\n");
        return 2;
    }
    uint64_t made_ns = now_ns();
    if (client_start(&o) || (!o.cold && client_know_topic()) || (!o.cold && !o.hold && warm())) {
        fprintf(stderr, "driver: it does not start\n");
        return 2;
    }
    if (o.hold)
        say("started");
    if (o.quiet_s > 0) {
        say("quiet");
        client_read((int)o.quiet_s * 1000);
    }
    interval_ns = o.rate > 0 ? 1e9 / o.rate : 0;
    start_ns = now_ns();
    if (o.outstanding)
        send_one_by_one();
    else
        send_all();
    if (o.hold) {
        say(bad ? "failed" : "held");
        wait_for_end_of_input();
        _exit(bad);
    }
    if (o.idle_s > 0) {
        say("idle");
        client_read((int)o.idle_s * 1000);
    }
    printf("records=%llu failed=%llu seconds=%.6f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f first_us=%.1f "
           "version=%s\n",
           (unsigned long long)count.good, (unsigned long long)(o.records - count.good),
           (double)(count.last_ns - start_ns) / 1e9, percentile_us(0.5), percentile_us(0.99), percentile_us(0.999),
           (double)latency_max_ns / 1e3, count.first_ns ? (double)(count.first_ns - made_ns) / 1e3 : 0.0,
           client_version());
    fflush(stdout);
    // What a client does at its end is not measured.
    _exit(bad || count.good != o.records);
}
