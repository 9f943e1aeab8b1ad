// Ways to end: never called, exit without close, exit during close. The argument says which.
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>

static void *closer(void *producer)
{
    kurier_producer_close(producer, -1, NULL);
    return NULL;
}

static kurier_producer *busy(void)
{
    kurier_producer *producer = start("linger.ms=200\n");
    kurier_record record = record_of(topic(producer, "payments"), "k", "v");
    for (int i = 0; i < 1000; i++)
        CODE(kurier_producer_send(producer, &record, -1), OK);
    return producer;
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    const char *way = arguments[1];
    if (strcmp(way, "never-called") == 0)
        return 0;
    if (strcmp(way, "without-close") == 0) {
        busy();
        return 0;
    }
    if (strcmp(way, "during-close") == 0) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, closer, busy()) == 0);
        return 0;
    }
    CHECK(!"a known way");
    return 1;
}
