// Rule 3: nothing waits without `timeout_ms`; 0 never waits; -1 waits as the settings say; less is an error.
// What would wait too long here, hangs; the driver ends it and calls it a failure.
#include "check.h"

#include <pthread.h>

static void *waker(void *userdata)
{
    CODE(kurier_producer_wake(userdata), OK);
    return NULL;
}

int main(void)
{
    kurier_error error = {0};
    kurier_delivery delivery;
    size_t count;
    int32_t partitions;

    // less than -1
    kurier_producer *producer = start("");
    kurier_record record = record_of(topic(producer, "payments"), "k", "v");
    int64_t wrong[] = {-2, INT64_MIN};
    for (int i = 0; i < 2; i++) {
        CODE(kurier_producer_send(producer, &record, wrong[i]), INVALID);
        CODE(kurier_producer_send_batch(producer, &record, 1, wrong[i], &count), INVALID);
        CODE(kurier_producer_send_object(producer, &record, wrong[i]), INVALID);
        CODE(kurier_producer_send_wait(producer, &record, wrong[i], &delivery, &error), INVALID);
        CODE(kurier_producer_partition_count(producer, record.topic, wrong[i], &partitions, &error), INVALID);
        CODE(kurier_producer_poll(producer, wrong[i], &delivery, 1, &count), INVALID);
        CODE(kurier_producer_flush(producer, wrong[i], &error), INVALID);
        CODE(kurier_producer_close(producer, wrong[i], &error), INVALID);
    }

    // 0 never waits; the longest of all times is one
    CODE(kurier_producer_poll(producer, 0, &delivery, 1, &count), OK);
    CHECK(count == 0);
    CODE(kurier_producer_send(producer, &record, INT64_MAX), OK);
    CODE(kurier_producer_poll(producer, INT64_MAX, &delivery, 1, &count), OK);
    CHECK(count == 1);
    CODE(kurier_producer_flush(producer, 0, &error), OK);

    // -1 in poll: until there is something
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, waker, producer) == 0);
    CODE(kurier_producer_poll(producer, -1, &delivery, 1, &count), OK);
    CHECK(count == 0);
    pthread_join(thread, NULL);
    stop(producer);

    // -1 in the send forms: max.block.ms. Nothing listens on port 1.
    producer = start("bootstrap.servers=127.0.0.1:1\nmax.block.ms=50\ndelivery.timeout.ms=2000\n");
    record.topic = topic(producer, "payments");
    for (int64_t timeout = -1; timeout <= 0; timeout++) {
        kurier_code code = kurier_producer_send(producer, &record, timeout);
        CHECK(code == KURIER_CODE_TIMED_OUT || code == KURIER_CODE_UNREACHABLE);
        code = kurier_producer_partition_count(producer, record.topic, timeout, &partitions, &error);
        CHECK(code == KURIER_CODE_TIMED_OUT || code == KURIER_CODE_UNREACHABLE);
        CHECK(error.code == code && (error.flags & KURIER_ERROR_RETRIABLE));
        code = kurier_producer_send_wait(producer, &record, timeout, &delivery, &error);
        CHECK(code == KURIER_CODE_TIMED_OUT || code == KURIER_CODE_UNREACHABLE);
        CHECK(delivery.outcome == KURIER_OUTCOME_NOT_WRITTEN && delivery.code == code);
    }
    stop(producer);
    return 0;
}
