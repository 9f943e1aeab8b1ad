// A partitioner of the application's own: accounts that begin with "VIP" have partition 0 for themselves, the others
// share the rest by a hash. Without a key it leaves the choice to the library.
//
//     own_partitioner [SERVERS]

#include <kurier.h>

#include <stdio.h>
#include <string.h>

// Called by the thread that sends, several at once if several send: it has no state.
static int32_t by_account(void *userdata, uint32_t topic, const void *key, size_t size, int32_t partition_count)
{
    (void)userdata;
    (void)topic;
    if (!key)
        return -1;
    if (partition_count == 1 || (size >= 3 && memcmp(key, "VIP", 3) == 0))
        return 0;
    uint32_t hash = 2166136261u; // FNV-1a
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const unsigned char *)key)[i]) * 16777619u;
    return 1 + (int32_t)(hash % (uint32_t)(partition_count - 1));
}

int main(int count, char **arguments)
{
    static const char *const accounts[] = {"VIP-1", "ACC-1", "ACC-2", "VIP-2", "ACC-3", "ACC-1"};
    kurier_error error = {0};
    kurier_producer *producer = NULL;
    uint32_t topic;

    kurier_config *config = kurier_config_new();
    if (kurier_config_set(config, "bootstrap.servers", count > 1 ? arguments[1] : "embedded:1", &error) ||
        kurier_config_set_partitioner(config, NULL, by_account) ||
        kurier_producer_new(config, &producer, &error) ||
        kurier_producer_topic(producer, "orders", 6, &topic)) {
        fprintf(stderr, "own_partitioner: %s\n", error.message);
        return 1;
    }
    for (size_t i = 0; i < sizeof accounts / sizeof *accounts && !error.code; i++) {
        kurier_record record = {.topic = topic, .key = accounts[i], .key_size = strlen(accounts[i]), .value = "order",
                                .value_size = 5};
        kurier_delivery delivery;
        if (kurier_producer_send_wait(producer, &record, -1, &delivery, &error))
            fprintf(stderr, "own_partitioner: %s\n", error.message);
        else
            printf("%s: partition %d\n", accounts[i], (int)delivery.partition);
    }
    kurier_producer_destroy(producer);
    kurier_config_destroy(config);
    return error.code != KURIER_CODE_OK;
}
