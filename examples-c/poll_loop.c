// An event loop of the application's own: waits for input and for deliveries in one poll(2), and blocks nowhere else.
// The ready callback runs on a thread of the library's and only writes a byte into a pipe; the loop does the rest.
//
//     poll_loop [SERVERS]          sends every line of standard input

#define _POSIX_C_SOURCE 200809L

#include <kurier.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 4096 };

// A full pipe is fine: then there is a byte in it already.
static void on_ready(void *userdata)
{
    ssize_t ignored = write(*(const int *)userdata, "", 1);
    (void)ignored;
}

// Takes everything that is there. 0: closed, and everything was read.
static int read_deliveries(kurier_producer *producer, int *failed)
{
    kurier_delivery deliveries[64];
    size_t count;
    do {
        if (kurier_producer_poll(producer, 0, deliveries, 64, &count) != KURIER_CODE_OK)
            return 0;
        for (size_t i = 0; i < count; i++) {
            const kurier_delivery *d = &deliveries[i];
            *failed |= d->code != KURIER_CODE_OK;
            printf("line %d: %s, partition %d, offset %lld\n", (int)d->opaque, kurier_code_name(d->code),
                   (int)d->partition, (long long)d->offset);
        }
    } while (count > 0);
    return 1;
}

static int loop(kurier_producer *producer, uint32_t topic, int wake)
{
    struct pollfd files[2] = {{.fd = wake, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char line[LINE], bytes[64];
    size_t filled = 0;
    uint64_t number = 0;
    int failed = 0, ended = 0;
    while (!ended || filled > 0 || kurier_producer_pending(producer) > 0) {
        // Complete lines that are in the buffer go out; one for which there is no room yet stays in it.
        for (;;) {
            char *end = memchr(line, '\n', filled);
            size_t size = end ? (size_t)(end - line) : filled;
            if (!end && !(filled == LINE || (ended && filled > 0)))
                break;
            kurier_record record = {.topic = topic, .value = line, .value_size = size, .opaque = number + 1};
            kurier_code code = kurier_producer_send(producer, &record, 0);
            if (code == KURIER_CODE_QUEUE_FULL || code == KURIER_CODE_TIMED_OUT)
                break;
            if (code != KURIER_CODE_OK) {
                fprintf(stderr, "poll_loop: %s\n", kurier_code_text(code));
                return 1;
            }
            number++;
            filled -= end ? size + 1 : size;
            memmove(line, line + size + (end ? 1 : 0), filled);
        }
        files[1].fd = ended || filled == LINE ? -1 : STDIN_FILENO;
        if (poll(files, 2, 1000) < 0)
            return 1;
        if (files[0].revents) {
            ssize_t ignored = read(wake, bytes, sizeof bytes);
            (void)ignored;
        }
        if (!read_deliveries(producer, &failed))
            return 1;
        if (files[1].fd >= 0 && files[1].revents) {
            ssize_t size = read(STDIN_FILENO, line + filled, LINE - filled);
            ended = size <= 0;
            filled += size > 0 ? (size_t)size : 0;
        }
    }
    return failed;
}

int main(int count, char **arguments)
{
    kurier_error error = {0};
    kurier_producer *producer = NULL;
    uint32_t topic = 0;
    int wake[2], status = 1;

    if (pipe(wake) || fcntl(wake[0], F_SETFL, O_NONBLOCK) || fcntl(wake[1], F_SETFL, O_NONBLOCK))
        return 1;
    kurier_config *config = kurier_config_new();
    if (kurier_config_set(config, "bootstrap.servers", count > 1 ? arguments[1] : "embedded:1", &error) ||
        kurier_config_set_ready_callback(config, &wake[1], on_ready) ||
        kurier_producer_new(config, &producer, &error) ||
        kurier_producer_topic(producer, "lines", 5, &topic))
        fprintf(stderr, "poll_loop: %s\n", error.message);
    else
        status = loop(producer, topic, wake[0]);

    // After destroy no callback runs, so the pipe may go.
    kurier_producer_destroy(producer);
    kurier_config_destroy(config);
    close(wake[0]);
    close(wake[1]);
    return status;
}
