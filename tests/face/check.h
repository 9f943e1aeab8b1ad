// What every C program of this folder needs: checks that say where they failed, and short ways to begin.
#ifndef CHECK_H
#define CHECK_H

#include <kurier.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                                     \
    do {                                                                                \
        if (!(what)) {                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);        \
            _Exit(1);                                                                   \
        }                                                                               \
    } while (0)

#define CODE(call, want) check_code(__FILE__, __LINE__, #call, (call), (want))

// Says which code it was; for every call that has one.
static inline void check_code(const char *file, int line, const char *call, kurier_code code, kurier_code want)
{
    if (code != want) {
        fprintf(stderr, "%s:%d: %s: %s, not %s\n", file, line, call, kurier_code_name(code), kurier_code_name(want));
        _Exit(1);
    }
}

#define INVALID KURIER_CODE_INVALID_ARGUMENT
#define OK KURIER_CODE_OK

// Settings of properties text; without `bootstrap.servers` an embedded broker.
static inline kurier_config *settings(const char *properties)
{
    kurier_error error = {0};
    kurier_config *config = kurier_config_new();
    CHECK(config);
    CODE(kurier_config_set(config, "bootstrap.servers", "embedded:1", &error), OK);
    kurier_code code = kurier_config_load(config, properties, strlen(properties), &error);
    if (code != OK)
        fprintf(stderr, "%s\n", error.message);
    CODE(code, OK);
    return config;
}

// A producer of these settings, which end here.
static inline kurier_producer *producer_of(kurier_config *config)
{
    kurier_error error = {0};
    kurier_producer *producer = NULL;
    kurier_code code = kurier_producer_new(config, &producer, &error);
    if (code != OK)
        fprintf(stderr, "%s\n", error.message);
    CODE(code, OK);
    kurier_config_destroy(config);
    return producer;
}

static inline kurier_producer *start(const char *properties)
{
    return producer_of(settings(properties));
}

static inline uint32_t topic(kurier_producer *producer, const char *name)
{
    uint32_t id = 0;
    CODE(kurier_producer_topic(producer, name, strlen(name), &id), OK);
    CHECK(id != 0);
    return id;
}

static inline kurier_record record_of(uint32_t topic, const char *key, const char *value)
{
    kurier_record record = {0};
    record.topic = topic;
    record.key = key;
    record.key_size = key ? strlen(key) : 0;
    record.value = value;
    record.value_size = value ? strlen(value) : 0;
    return record;
}

// Polls until `want` deliveries came; checks that all are OK and WRITTEN.
static inline void drain(kurier_producer *producer, size_t want)
{
    kurier_delivery deliveries[64];
    size_t have = 0, count;
    while (have < want) {
        CODE(kurier_producer_poll(producer, -1, deliveries, 64, &count), OK);
        for (size_t i = 0; i < count; i++) {
            CODE(deliveries[i].code, OK);
            CHECK(deliveries[i].outcome == KURIER_OUTCOME_WRITTEN);
        }
        have += count;
    }
    CHECK(have == want);
}

// Closes and frees, and nothing may be in the way.
static inline void stop(kurier_producer *producer)
{
    kurier_error error = {0};
    CODE(kurier_producer_close(producer, -1, &error), OK);
    kurier_producer_destroy(producer);
}

#endif
