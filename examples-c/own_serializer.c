// Sends structs: a serializer of the application's own writes each as JSON straight into the library's memory.
// Deliveries come to a callback, on a thread of the library's.
//
//     own_serializer [SERVERS]

#include <kurier.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *account, *currency;
    int64_t cents;
} payment;

// As snprintf: it returns the size that the whole has, and is called again if that was more than there was room for.
static int64_t as_json(void *userdata, uint32_t topic, const void *object, size_t size, void *buffer, size_t capacity)
{
    const payment *p = object;
    (void)userdata;
    (void)topic;
    if (size != sizeof *p || p->cents < 0)
        return -2; // not accepted: SERIALIZATION
    return snprintf(buffer, capacity, "{\"account\":\"%s\",\"currency\":\"%s\",\"cents\":%" PRId64 "}", p->account,
                    p->currency, p->cents);
}

static void on_delivery(void *userdata, const kurier_delivery *deliveries, size_t count)
{
    atomic_int *failed = userdata;
    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].code != KURIER_CODE_OK)
            atomic_fetch_add(failed, 1);
        printf("payment %d: %s, partition %d, offset %lld\n", (int)deliveries[i].opaque,
               kurier_code_name(deliveries[i].code), (int)deliveries[i].partition, (long long)deliveries[i].offset);
    }
}

int main(int count, char **arguments)
{
    static const payment payments[] = {{"ACC-1", "EUR", 1999}, {"ACC-2", "SEK", 250000}, {"ACC-1", "EUR", -1}};
    atomic_int failed = 0;
    kurier_error error = {0};
    kurier_producer *producer = NULL;
    uint32_t topic;

    kurier_config *config = kurier_config_new();
    if (kurier_config_set(config, "bootstrap.servers", count > 1 ? arguments[1] : "embedded:1", &error) ||
        kurier_config_set_value_serializer(config, NULL, as_json) ||
        kurier_config_set_delivery_callback(config, &failed, on_delivery) ||
        kurier_producer_new(config, &producer, &error) ||
        kurier_producer_topic(producer, "payments", 8, &topic)) {
        fprintf(stderr, "own_serializer: %s\n", error.message);
        return 1;
    }
    for (size_t i = 0; i < sizeof payments / sizeof *payments; i++) {
        kurier_record record = {.topic = topic, .key = payments[i].account, .key_size = strlen(payments[i].account),
                                .value = &payments[i], .value_size = sizeof payments[i], .opaque = i + 1};
        kurier_code code = kurier_producer_send_object(producer, &record, -1);
        if (code)
            printf("payment %d: %s\n", (int)i + 1, kurier_code_name(code));
    }
    // When close has returned every delivery was handed over, and no callback runs any more.
    kurier_code code = kurier_producer_close(producer, -1, &error);
    if (code)
        fprintf(stderr, "own_serializer: %s\n", error.message);
    kurier_producer_destroy(producer);
    kurier_config_destroy(config);
    return code != KURIER_CODE_OK || atomic_load(&failed) > 0;
}
