// What every driver in C shares: the command line, the records, the clock, the counts. One client is linked to it.

#ifndef PEERS_DRIVER_H
#define PEERS_DRIVER_H

// Before every other header.
#define _GNU_SOURCE

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { THREADS_MAX = 16, RUN_MAX = 256, HEADERS = 2 };

// Where records go: the client's own choice, or a partition that is named.
enum { SPREAD_AUTO, SPREAD_ROUND, SPREAD_OWN, SPREAD_ONE };

// driver NAME=VALUE ...; README.md says what they mean.
typedef struct {
    const char *bootstrap, *topic, *codec, *acks, *payload;
    uint64_t records, keys, burst;
    size_t bytes, headers, run;
    int32_t partitions;
    int spread, idempotent, outstanding, cold, hold;
    double rate; // all threads together, per second; 0: as fast as it goes
    long linger_us, buffer_mb, idle_s, quiet_s;
    unsigned threads;
} options;

typedef struct {
    uint64_t number;   // comes back with the delivery
    int32_t partition; // -1: the client's choice
    const void *key, *value;
    size_t key_size; // 0: none
} content;

typedef struct {
    const char *name, *value;
    size_t value_size;
} header;

// ---- each client's part; all answer 0 if it went well ----

int client_start(const options *o);
// Waits until the topic's metadata is there.
int client_know_topic(void);
// `count` records, 1 unless the options ask for runs; waits for room.
int client_send(const content *records, size_t count);
// Hands what came back to `delivered`; may wait for so long, -1: without limit.
int client_read(int timeout_ms);
// The version of the client.
const char *client_version(void);

// ---- the driver's part ----

extern options o;
extern const header headers[HEADERS];

typedef struct {
    uint64_t good, failed, begin_ns, last_ns, first_ns;
} counts;
extern counts count;

void count_latency(uint64_t number, uint64_t now_ns);

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Called from client_read, by one thread at a time.
static inline void delivered(uint64_t number, int is_good)
{
    if (is_good)
        count.good++;
    else
        count.failed++;
    if (o.rate > 0 || o.outstanding)
        count_latency(number, now_ns());
}

#endif
