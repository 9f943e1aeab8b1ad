// The driver's client is kurier, through its C API.

#include "driver.h"

#include <kurier.h>

#include <stdio.h>
#include <string.h>

static kurier_producer *producer;
static uint32_t topic;
static kurier_header own_headers[HEADERS];
static kurier_error error;
static kurier_delivery deliveries[4096];

static int set(kurier_config *config, const char *name, const char *value)
{
    if (kurier_config_set(config, name, value, &error) == KURIER_CODE_OK)
        return 0;
    fprintf(stderr, "kurier: %s\n", error.message);
    return 1;
}

int client_start(const options *o)
{
    char linger_ms[32], buffer[32];
    // Resident from the start: memory that comes later is to be the client's.
    memset(deliveries, 0xff, sizeof deliveries);
    snprintf(linger_ms, sizeof linger_ms, "%.3f", (double)o->linger_us / 1e3);
    snprintf(buffer, sizeof buffer, "%ld", o->buffer_mb << 20);
    kurier_config *config = kurier_config_new();
    int bad = set(config, "bootstrap.servers", o->bootstrap) || set(config, "linger.ms", linger_ms) ||
              set(config, "compression.type", o->codec) || set(config, "acks", o->acks) ||
              set(config, "enable.idempotence", o->idempotent ? "true" : "false") ||
              set(config, "batch.size", "1000000") || set(config, "max.in.flight.requests.per.connection", "5") ||
              set(config, "buffer.memory", buffer);
    if (!bad && kurier_producer_new(config, &producer, &error) != KURIER_CODE_OK) {
        fprintf(stderr, "kurier: %s\n", error.message);
        bad = 1;
    }
    kurier_config_destroy(config);
    for (size_t i = 0; i < HEADERS; i++)
        own_headers[i] = (kurier_header){.name = headers[i].name, .name_size = strlen(headers[i].name),
                                         .value = headers[i].value, .value_size = headers[i].value_size};
    return bad || kurier_producer_topic(producer, o->topic, strlen(o->topic), &topic) != KURIER_CODE_OK;
}

int client_know_topic(void)
{
    int32_t partitions;
    return kurier_producer_partition_count(producer, topic, 10000, &partitions, &error) != KURIER_CODE_OK;
}

static inline kurier_record record_of(const content *c)
{
    kurier_record record = {.topic = topic, .key = c->key, .key_size = c->key_size, .value = c->value,
                            .value_size = o.bytes, .headers = own_headers, .header_count = o.headers,
                            .opaque = c->number};
    if (c->partition >= 0) {
        record.partition = c->partition;
        record.flags = KURIER_RECORD_PARTITION;
    }
    return record;
}

int client_send(const content *contents, size_t size)
{
    kurier_code code;
    if (size == 1) {
        kurier_record record = record_of(contents);
        code = kurier_producer_send(producer, &record, -1);
    } else {
        kurier_record records[RUN_MAX];
        size_t accepted;
        for (size_t i = 0; i < size; i++)
            records[i] = record_of(&contents[i]);
        code = kurier_producer_send_batch(producer, records, size, -1, &accepted);
    }
    if (code != KURIER_CODE_OK)
        fprintf(stderr, "kurier: %s\n", kurier_code_text(code));
    return code != KURIER_CODE_OK;
}

int client_read(int timeout_ms)
{
    size_t size;
    kurier_code code = kurier_producer_poll(producer, timeout_ms, deliveries, 4096, &size);
    for (size_t i = 0; i < size; i++)
        delivered(deliveries[i].opaque, deliveries[i].code == KURIER_CODE_OK);
    return code != KURIER_CODE_OK;
}

const char *client_version(void)
{
    static char text[32];
    uint32_t version = kurier_version();
    snprintf(text, sizeof text, "%u.%u.%u", version >> 24, version >> 16 & 255, version >> 8 & 255);
    return text;
}
