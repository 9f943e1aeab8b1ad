// Rule 6: any thread at any time; after close CLOSED, also for who was waiting, and deliveries can still be polled.
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, RECORDS = 2000 };

static kurier_producer *producer;
static uint32_t payments;
static atomic_uint seen[THREADS][RECORDS];
static atomic_size_t total;
static atomic_int closed;

static void *sender(void *number)
{
    size_t thread = (size_t)(uintptr_t)number;
    for (size_t i = 0; i < RECORDS; i++) {
        kurier_record record = record_of(payments, i % 2 ? "k" : NULL, "v");
        record.opaque = thread << 32 | i;
        CODE(kurier_producer_send(producer, &record, -1), OK);
    }
    return NULL;
}

static void *reader(void *nothing)
{
    kurier_delivery deliveries[100];
    size_t count;
    kurier_code code;
    while ((code = kurier_producer_poll(producer, -1, deliveries, 100, &count)) == OK)
        for (size_t i = 0; i < count; i++) {
            CODE(deliveries[i].code, OK);
            atomic_fetch_add(&seen[deliveries[i].opaque >> 32][deliveries[i].opaque & 0xffffffff], 1);
            atomic_fetch_add(&total, 1);
        }
    CODE(code, KURIER_CODE_CLOSED);
    CHECK(count == 0);
    atomic_fetch_add(&closed, 1);
    return nothing;
}

static void *filler(void *nothing)
{
    static char value[1000];
    kurier_code code;
    do {
        kurier_record record = {0};
        record.topic = payments;
        record.value = value;
        record.value_size = sizeof value;
        code = kurier_producer_send(producer, &record, 60000);
    } while (code == OK);
    CODE(code, KURIER_CODE_CLOSED);
    return nothing;
}

int main(void)
{
    pthread_t senders[THREADS], readers[2];
    producer = start("linger.ms=1\n");
    payments = topic(producer, "payments");
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&senders[i], NULL, sender, (void *)i) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&readers[i], NULL, reader, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(senders[i], NULL);
    CODE(kurier_producer_close(producer, -1, NULL), OK);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    CHECK(atomic_load(&total) == THREADS * RECORDS && atomic_load(&closed) == 2);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < RECORDS; i++)
            CHECK(atomic_load(&seen[t][i]) == 1);

    // after close
    kurier_record record = record_of(payments, "k", "v");
    kurier_delivery delivery;
    size_t count = 7;
    CODE(kurier_producer_send(producer, &record, 0), KURIER_CODE_CLOSED);
    CODE(kurier_producer_send_batch(producer, &record, 1, -1, &count), KURIER_CODE_CLOSED);
    CHECK(count == 0);
    CODE(kurier_producer_send_object(producer, &record, 0), KURIER_CODE_CLOSED);
    CODE(kurier_producer_send_wait(producer, &record, -1, &delivery, NULL), KURIER_CODE_CLOSED);
    CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN && delivery.code == KURIER_CODE_CLOSED);
    CODE(kurier_producer_flush(producer, -1, NULL), KURIER_CODE_CLOSED);
    CODE(kurier_producer_poll(producer, -1, &delivery, 1, &count), KURIER_CODE_CLOSED);
    kurier_producer_destroy(producer);

    // deliveries can be polled after close, and then CLOSED comes
    producer = start("");
    record.topic = topic(producer, "payments");
    CODE(kurier_producer_send(producer, &record, -1), OK);
    CODE(kurier_producer_close(producer, -1, NULL), OK);
    CODE(kurier_producer_poll(producer, -1, &delivery, 1, &count), OK);
    CHECK(count == 1 && delivery.code == OK && delivery.offset == 0);
    CODE(kurier_producer_poll(producer, -1, &delivery, 1, &count), KURIER_CODE_CLOSED);
    kurier_producer_destroy(producer);

    // a sender that waits for memory, which never comes because nobody polls
    producer = start("buffer.memory=1000000\nbatch.size=16384\n");
    payments = topic(producer, "payments");
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, filler, NULL) == 0);
    static char value[1000];
    record = record_of(payments, NULL, NULL);
    record.value = value;
    record.value_size = sizeof value;
    kurier_code code;
    while ((code = kurier_producer_send(producer, &record, 0)) != KURIER_CODE_QUEUE_FULL)
        CHECK(code == OK || code == KURIER_CODE_TIMED_OUT);
    CODE(kurier_producer_close(producer, -1, NULL), OK);
    pthread_join(thread, NULL);
    kurier_producer_destroy(producer);
    return 0;
}
