// The driver's client is kurier.

#define _POSIX_C_SOURCE 200809L

#include "driver.h"

#include <kurier.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static kurier_producer *producer;
static uint32_t topics[THREADS_MAX];

static void on_log(void *unused, int32_t level, const char *text, size_t size)
{
    struct timespec now;
    (void)unused, (void)level;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(stderr, "%lld.%03ld %.*s\n", (long long)now.tv_sec, now.tv_nsec / 1000000, (int)size, text);
}

int client_start(const options *o)
{
    kurier_error error = {0};
    kurier_config *config = kurier_config_new();
    int bad = kurier_config_set(config, "bootstrap.servers", o->servers, &error) != KURIER_CODE_OK;
    for (unsigned i = 0; i < o->settings && !bad; i++)
        bad = kurier_config_set(config, o->names[i], o->values[i], &error) != KURIER_CODE_OK;
    kurier_config_set_log_callback(config, NULL, on_log);
    bad = bad || kurier_producer_new(config, &producer, &error) != KURIER_CODE_OK;
    kurier_config_destroy(config);
    for (unsigned i = 0; i < o->threads && !bad; i++)
        bad = kurier_producer_topic(producer, o->topics[i].name, strlen(o->topics[i].name), &topics[i]) !=
              KURIER_CODE_OK;
    if (bad)
        fprintf(stderr, "kurier: %s\n", error.message);
    return bad;
}

int client_send(const content *c, int *code)
{
    kurier_header headers[4];
    for (size_t i = 0; i < c->header_count; i++)
        headers[i] = (kurier_header){.name = c->headers[i].name, .name_size = strlen(c->headers[i].name),
                                     .value = c->headers[i].value, .value_size = c->headers[i].value_size};
    kurier_record record = {.topic = topics[c->thread], .key = c->key, .key_size = c->key_size, .value = c->value,
                            .value_size = c->value_size, .headers = headers, .header_count = c->header_count,
                            .opaque = c->opaque};
    if (c->partition >= 0) {
        record.partition = c->partition;
        record.flags |= KURIER_RECORD_PARTITION;
    }
    if (c->timestamp_ms >= 0) {
        record.timestamp_ms = c->timestamp_ms;
        record.flags |= KURIER_RECORD_TIMESTAMP;
    }
    *code = kurier_producer_send(producer, &record, 1000);
    switch (*code) {
    case KURIER_CODE_OK: return ACCEPTED;
    case KURIER_CODE_QUEUE_FULL:
    case KURIER_CODE_TIMED_OUT: return AGAIN;
    case KURIER_CODE_FATAL:
    case KURIER_CODE_FENCED:
    case KURIER_CODE_CLOSED: journal_fatal(*code); return ENDED;
    default: return REFUSED;
    }
}

int client_read(void)
{
    static kurier_delivery deliveries[2048];
    size_t count;
    kurier_code code = kurier_producer_poll(producer, 100, deliveries, 2048, &count);
    for (size_t i = 0; i < count; i++) {
        const kurier_delivery *d = &deliveries[i];
        int outcome = d->outcome == KURIER_OUTCOME_WRITTEN       ? WRITTEN
                      : d->outcome == KURIER_OUTCOME_NOT_WRITTEN ? NOT_WRITTEN
                                                                 : UNKNOWN;
        deliver(d->opaque, outcome, d->code, d->partition, d->offset, d->timestamp_ms);
    }
    return code == KURIER_CODE_OK;
}

void client_close(void)
{
    kurier_error error = {0};
    if (kurier_producer_close(producer, -1, &error) != KURIER_CODE_OK)
        fprintf(stderr, "kurier: close: %s\n", error.message);
}

void client_destroy(void)
{
    kurier_producer_destroy(producer);
}
