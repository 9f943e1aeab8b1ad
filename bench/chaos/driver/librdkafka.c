// The driver's client is librdkafka: idempotent, acks=all; built anew when it says that it is fatally finished.

#define _GNU_SOURCE

#include "driver.h"

#include <rdkafka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static rd_kafka_t *producer;
static const options *settings;
static pthread_rwlock_t life = PTHREAD_RWLOCK_INITIALIZER;
static atomic_int closing, finished;

// Its names for what the harness gives by Kafka's.
static const char *own_name(const char *name)
{
    static const char *const names[][2] = {
        {"delivery.timeout.ms", "message.timeout.ms"},
        {"partitioner.class", "partitioner"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i][0]) == 0)
            return names[i][1];
    return name;
}

static void on_delivery(rd_kafka_t *unused, const rd_kafka_message_t *message, void *opaque)
{
    (void)unused, (void)opaque;
    rd_kafka_msg_status_t status = rd_kafka_message_status(message);
    int outcome = status == RD_KAFKA_MSG_STATUS_PERSISTED       ? WRITTEN
                  : status == RD_KAFKA_MSG_STATUS_NOT_PERSISTED ? NOT_WRITTEN
                                                                : UNKNOWN;
    deliver((uint64_t)(uintptr_t)message->_private, outcome, message->err, message->partition, message->offset,
            rd_kafka_message_timestamp(message, NULL));
}

static rd_kafka_t *make(void)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int bad = rd_kafka_conf_set(conf, "bootstrap.servers", settings->servers, why, sizeof why) ||
              rd_kafka_conf_set(conf, "enable.idempotence", "true", why, sizeof why) ||
              rd_kafka_conf_set(conf, "acks", "all", why, sizeof why);
    for (unsigned i = 0; i < settings->settings && !bad; i++) {
        bad = rd_kafka_conf_set(conf, own_name(settings->names[i]), settings->values[i], why, sizeof why);
        // It has two timeouts where Kafka has one: how long the broker may wait, and how long we wait for the broker.
        if (!bad && strcmp(settings->names[i], "request.timeout.ms") == 0)
            bad = rd_kafka_conf_set(conf, "socket.timeout.ms", settings->values[i], why, sizeof why);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *made = bad ? NULL : rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!made)
        fprintf(stderr, "librdkafka: %s\n", why);
    return made;
}

int client_start(const options *o)
{
    settings = o;
    producer = make();
    return producer == NULL;
}

int client_send(const content *c, int *code)
{
    rd_kafka_headers_t *headers = NULL;
    if (c->header_count > 0) {
        headers = rd_kafka_headers_new(c->header_count);
        for (size_t i = 0; i < c->header_count; i++)
            rd_kafka_header_add(headers, c->headers[i].name, -1, c->headers[i].value,
                                (ssize_t)c->headers[i].value_size);
    }
    rd_kafka_vu_t words[10] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = settings->topics[c->thread].name},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = c->partition >= 0 ? c->partition : RD_KAFKA_PARTITION_UA},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)c->value, c->value_size}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)c->key, c->key_size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)c->opaque},
    };
    size_t count = 6;
    if (c->timestamp_ms >= 0)
        words[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = c->timestamp_ms};
    if (headers)
        words[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers};
    pthread_rwlock_rdlock(&life);
    rd_kafka_error_t *error = rd_kafka_produceva(producer, words, count);
    pthread_rwlock_unlock(&life);
    if (!error)
        return ACCEPTED;
    *code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers)
        rd_kafka_headers_destroy(headers);
    // A full queue is tried again soon; after a fatal error the reader makes another producer.
    return REFUSED;
}

// What was under way in the finished producer is given up, with the outcome that it says.
static void revive(void)
{
    char why[512];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer, why, sizeof why);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || closing)
        return;
    fprintf(stderr, "librdkafka: fatal: %s\n", why);
    journal_fatal(code);
    pthread_rwlock_wrlock(&life);
    rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(producer) > 0)
        rd_kafka_poll(producer, 100);
    rd_kafka_destroy(producer);
    producer = make();
    pthread_rwlock_unlock(&life);
}

int client_read(void)
{
    rd_kafka_poll(producer, 100);
    revive();
    return !finished;
}

void client_close(void)
{
    char why[512];
    int told = 0;
    closing = 1;
    // The reader serves the deliveries; every message has its timeout, unless the producer is fatally finished.
    for (int left = 1; left > 0; usleep(10000)) {
        pthread_rwlock_rdlock(&life);
        rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer, why, sizeof why);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && !told) {
            journal_fatal(code);
            rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            told = 1;
        }
        left = rd_kafka_outq_len(producer);
        pthread_rwlock_unlock(&life);
    }
    finished = 1;
}

void client_destroy(void)
{
    rd_kafka_destroy(producer);
}
