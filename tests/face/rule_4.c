// Rule 4: no call keeps a pointer. Everything is overwritten and freed as soon as the call returns; an address
// sanitizer (KURIER_CFLAGS=-fsanitize=address) sees who looks at it later.
#include "check.h"

static void *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(malloc(size), text, size);
}

static void scribble(void *memory, size_t size)
{
    memset(memory, 0xa5, size);
    free(memory);
}

int main(void)
{
    kurier_config *config = kurier_config_new();
    const char *pairs[][2] = {{"bootstrap.servers", "embedded:1"}, {"client.id", "rule-4"}, {"linger.ms", "50"}};
    for (int i = 0; i < 3; i++) {
        char *name = copy(pairs[i][0]), *value = copy(pairs[i][1]);
        CODE(kurier_config_set(config, name, value, NULL), OK);
        scribble(name, strlen(pairs[i][0]));
        scribble(value, strlen(pairs[i][1]));
    }
    char *text = copy("acks=all\n");
    CODE(kurier_config_load(config, text, strlen(text), NULL), OK);
    scribble(text, 9);
    kurier_producer *producer = producer_of(config);

    char *name = copy("payments");
    uint32_t id;
    CODE(kurier_producer_topic(producer, name, 8, &id), OK);
    scribble(name, 8);
    const char *back;
    size_t size;
    CODE(kurier_producer_topic_name(producer, id, &back, &size), OK);
    CHECK(size == 8 && memcmp(back, "payments", 8) == 0);

    // the batch stays open for a while after all of it is gone
    for (int i = 0; i < 200; i++) {
        size_t headers = (size_t)(i % 40);
        kurier_header *header = calloc(headers + 1, sizeof *header);
        for (size_t h = 0; h < headers; h++) {
            header[h].name = copy("trace");
            header[h].name_size = 5;
            header[h].value = h % 3 ? copy("value") : NULL;
            header[h].value_size = h % 3 ? 5 : 0;
        }
        kurier_record *record = calloc(1, sizeof *record);
        *record = record_of(id, copy("account"), copy("a payment"));
        record->headers = header;
        record->header_count = headers;
        CODE(kurier_producer_send(producer, record, -1), OK);
        for (size_t h = 0; h < headers; h++) {
            scribble((void *)header[h].name, 5);
            if (header[h].value)
                scribble((void *)header[h].value, 5);
        }
        scribble(header, headers * sizeof *header);
        scribble((void *)record->key, 7);
        scribble((void *)record->value, 9);
        scribble(record, sizeof *record);
    }
    drain(producer, 200);
    stop(producer);
    return 0;
}
