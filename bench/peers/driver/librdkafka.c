// The driver's client is librdkafka: produced by topic handle, which is its quickest way; deliveries by callback.

#include "driver.h"

#include <rdkafka.h>

#include <stdio.h>
#include <string.h>

static rd_kafka_t *producer;
static rd_kafka_topic_t *topic;
static char why[512];

static void on_delivery(rd_kafka_t *unused, const rd_kafka_message_t *message, void *opaque)
{
    (void)unused, (void)opaque;
    delivered((uint64_t)(uintptr_t)message->_private, message->err == RD_KAFKA_RESP_ERR_NO_ERROR);
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    return rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK;
}

int client_start(const options *o)
{
    char linger_ms[32], buffer[32];
    snprintf(linger_ms, sizeof linger_ms, "%.3f", (double)o->linger_us / 1e3);
    snprintf(buffer, sizeof buffer, "%ld", o->buffer_mb << 10);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    // Without a limit of messages (0), that of bytes holds, as it does for the others.
    int bad = set(conf, "bootstrap.servers", o->bootstrap) || set(conf, "linger.ms", linger_ms) ||
              set(conf, "compression.type", o->codec) || set(conf, "acks", o->acks) ||
              set(conf, "enable.idempotence", o->idempotent ? "true" : "false") ||
              set(conf, "batch.size", "1000000") || set(conf, "max.in.flight", "5") ||
              set(conf, "queue.buffering.max.kbytes", buffer) || set(conf, "queue.buffering.max.messages", "0");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    producer = bad ? NULL : rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    topic = producer ? rd_kafka_topic_new(producer, o->topic, NULL) : NULL;
    if (!topic)
        fprintf(stderr, "librdkafka: %s\n", why);
    return topic == NULL;
}

int client_know_topic(void)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(producer, 0, topic, &metadata, 10000);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    else
        fprintf(stderr, "librdkafka: %s\n", rd_kafka_err2str(code));
    return code != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t send_with_headers(const content *c, int32_t partition)
{
    rd_kafka_headers_t *own = rd_kafka_headers_new(o.headers);
    for (size_t i = 0; i < o.headers; i++)
        rd_kafka_header_add(own, headers[i].name, -1, headers[i].value, (ssize_t)headers[i].value_size);
    rd_kafka_vu_t words[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)c->value, o.bytes}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)c->key, c->key_size}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)c->number},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = own},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(producer, words, sizeof words / sizeof *words);
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    rd_kafka_headers_destroy(own);
    return code;
}

int client_send(const content *contents, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const content *c = &contents[i];
        int32_t partition = c->partition >= 0 ? c->partition : RD_KAFKA_PARTITION_UA;
        rd_kafka_resp_err_t code;
        if (o.headers > 0)
            code = send_with_headers(c, partition);
        else if (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK,
                                  (void *)(uintptr_t)c->value, o.bytes, c->key, c->key_size,
                                  (void *)(uintptr_t)c->number) == 0)
            code = RD_KAFKA_RESP_ERR_NO_ERROR;
        else
            code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fprintf(stderr, "librdkafka: %s\n", rd_kafka_err2str(code));
            return 1;
        }
    }
    return 0;
}

int client_read(int timeout_ms)
{
    rd_kafka_poll(producer, timeout_ms);
    return 0;
}

const char *client_version(void)
{
    return rd_kafka_version_str();
}
