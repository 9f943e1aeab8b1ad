// Rule 12: text in and out, null and empty.
#include "check.h"

int main(void)
{
    kurier_config *config = settings("client.id=zw\xc3\xb6lf\n");
    char buffer[16];
    size_t size = 7;

    // as snprintf, but cut between characters
    CODE(kurier_config_get(config, "client.id", NULL, 0, &size), OK);
    CHECK(size == 6);
    CODE(kurier_config_get(config, "client.id", buffer, sizeof buffer, &size), OK);
    CHECK(size == 6 && strcmp(buffer, "zw\xc3\xb6lf") == 0);
    memset(buffer, 'x', sizeof buffer);
    CODE(kurier_config_get(config, "client.id", buffer, 4, &size), OK);
    CHECK(size == 6 && memcmp(buffer, "zw\0", 3) == 0 && buffer[4] == 'x');
    CODE(kurier_config_get(config, "client.id", buffer, 1, &size), OK);
    CHECK(size == 6 && buffer[0] == 0);
    memset(buffer, 'x', sizeof buffer);
    CODE(kurier_config_get(config, "client.id", buffer, 0, &size), OK);
    CHECK(size == 6 && buffer[0] == 'x');
    CODE(kurier_config_get(config, "client.id", NULL, 1, &size), KURIER_CODE_NULL_POINTER);
    CODE(kurier_config_get(config, "client.id", buffer, 1, NULL), KURIER_CODE_NULL_POINTER);
    CODE(kurier_config_get(config, "no.such", buffer, sizeof buffer, &size), INVALID);
    CHECK(size == 0);
    // every name that is listed has a value, and can be asked for
    for (size_t i = 0; kurier_config_name(i); i++)
        CODE(kurier_config_get(config, kurier_config_name(i), NULL, 0, &size), OK);

    CODE(kurier_config_set(config, "client.id", "\xff", NULL), INVALID);
    CODE(kurier_config_set(config, "\xff", "x", NULL), INVALID);
    CODE(kurier_config_load(config, "client.id=\xff", 11, NULL), INVALID);
    // pointer and size: what stands behind it is not read
    CODE(kurier_config_load(config, "client.id=abcdef", 13, NULL), OK);
    CODE(kurier_config_get(config, "client.id", buffer, sizeof buffer, &size), OK);
    CHECK(strcmp(buffer, "abc") == 0);

    // a text is loaded wholly or not at all, and the message has the line
    kurier_error error = {0};
    CODE(kurier_config_load(config, "client.id=lost\n\nno.such=1\n", 26, &error), INVALID);
    CHECK(strstr(error.message, "3") && strstr(error.message, "no.such"));
    CODE(kurier_config_get(config, "client.id", buffer, sizeof buffer, &size), OK);
    CHECK(strcmp(buffer, "abc") == 0);

    kurier_producer *producer = producer_of(config);
    uint32_t id, same, others;
    CODE(kurier_producer_topic(producer, "paymentsX", 8, &id), OK);
    CODE(kurier_producer_topic(producer, "payments", 8, &same), OK);
    CODE(kurier_producer_topic(producer, "payment", 7, &others), OK);
    CHECK(id == same && id != others);
    const char *name;
    CODE(kurier_producer_topic_name(producer, id, &name, &size), OK);
    CHECK(size == 8 && memcmp(name, "payments", 8) == 0);
    CODE(kurier_producer_topic(producer, "\xc3\xb6", 2, &id), INVALID);
    CODE(kurier_producer_topic(producer, "\xff", 1, &id), INVALID);
    CODE(kurier_producer_topic(producer, "pay\0ments", 9, &id), INVALID);
    CODE(kurier_producer_topic(producer, "", 0, &id), INVALID);
    CODE(kurier_producer_topic(producer, NULL, 0, &id), KURIER_CODE_NULL_POINTER);

    // null and empty
    kurier_record record = record_of(same, NULL, NULL);
    kurier_header header = {0};
    kurier_delivery delivery;
    record.headers = &header;
    record.key_size = 1;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.key_size = 0;
    record.value_size = 1;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.value_size = 0;
    record.header_count = 1;
    header.value_size = 1;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    header.value_size = 0;
    header.name_size = 1;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    header.name = "\xff";
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    header.name = "n";
    record.headers = NULL;
    CODE(kurier_producer_send(producer, &record, -1), INVALID);
    record.headers = &header;
    record.key = record.value = header.value = "";
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), OK);

    // an object is bytes with a size like any other
    CODE(kurier_producer_send_object(producer, &record, -1), OK);
    stop(producer);

    kurier_cluster *cluster;
    CODE(kurier_cluster_new(3, &cluster, NULL), OK);
    CODE(kurier_cluster_address(cluster, NULL, 0, &size), OK);
    char *address = malloc(size + 1);
    size_t again;
    CODE(kurier_cluster_address(cluster, address, size + 1, &again), OK);
    CHECK(again == size && strlen(address) == size);
    free(address);
    kurier_cluster_destroy(cluster);
    return 0;
}
