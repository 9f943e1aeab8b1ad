// Sends one record and says where it went. Without an argument: to a broker inside this process.
//
//     hello [SERVERS]

#include <kurier.h>

#include <stdio.h>

int main(int count, char **arguments)
{
    kurier_error error = {0};
    kurier_producer *producer = NULL;
    kurier_record record = {.value = "hello", .value_size = 5};
    kurier_delivery delivery;

    kurier_config *config = kurier_config_new();
    kurier_code code = kurier_config_set(config, "bootstrap.servers", count > 1 ? arguments[1] : "embedded:1", &error);
    if (code || (code = kurier_producer_new(config, &producer, &error)) ||
        (code = kurier_producer_topic(producer, "greetings", 9, &record.topic)) ||
        (code = kurier_producer_send_wait(producer, &record, -1, &delivery, &error)))
        fprintf(stderr, "hello: %s %s\n", kurier_code_text(code), error.message);
    else
        printf("greetings, partition %d, offset %lld\n", (int)delivery.partition, (long long)delivery.offset);

    kurier_producer_destroy(producer);
    kurier_config_destroy(config);
    return code != KURIER_CODE_OK;
}
