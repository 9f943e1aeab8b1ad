// Loads the library (argument) by hand, has it run, and unloads it: its threads must not lose the ground under them.
#define _POSIX_C_SOURCE 200809L
#include <kurier.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define CHECK(what)                                                                          \
    do {                                                                                     \
        if (!(what)) {                                                                       \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);             \
            return 1;                                                                        \
        }                                                                                    \
    } while (0)

static void *library;

// A pointer to a function is not an object pointer in C; POSIX says that this works.
#define FIND(name) (*(void **)&name = dlsym(library, "kurier_" #name))

int main(int count, char **arguments)
{
    kurier_config *(*config_new)(void);
    kurier_code (*config_set)(kurier_config *, const char *, const char *, kurier_error *);
    kurier_code (*producer_new)(const kurier_config *, kurier_producer **, kurier_error *);
    kurier_code (*producer_topic)(kurier_producer *, const char *, size_t, uint32_t *);
    kurier_code (*producer_send)(kurier_producer *, const kurier_record *, int64_t);
    kurier_code (*producer_flush)(kurier_producer *, int64_t, kurier_error *);
    kurier_producer *producer;
    kurier_record record = {0};

    CHECK(count == 2);
    library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(library);
    CHECK(FIND(config_new) && FIND(config_set) && FIND(producer_new));
    CHECK(FIND(producer_topic) && FIND(producer_send) && FIND(producer_flush));
    kurier_config *config = config_new();
    CHECK(config);
    CHECK(config_set(config, "bootstrap.servers", "embedded:1", NULL) == KURIER_CODE_OK);
    CHECK(config_set(config, "linger.ms", "20", NULL) == KURIER_CODE_OK);
    CHECK(producer_new(config, &producer, NULL) == KURIER_CODE_OK);
    CHECK(producer_topic(producer, "payments", 8, &record.topic) == KURIER_CODE_OK);
    for (int i = 0; i < 1000; i++)
        CHECK(producer_send(producer, &record, -1) == KURIER_CODE_OK);

    CHECK(dlclose(library) == 0);
    CHECK(dlopen(arguments[1], RTLD_NOW | RTLD_NOLOAD));
    // still mapped, and its threads still at work
    CHECK(producer_flush(producer, -1, NULL) == KURIER_CODE_OK);
    return 0;
}
