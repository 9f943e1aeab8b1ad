/* Sends the lines of a text file through the C face from several threads and writes down every delivery.
 *
 *   million FILE TOPIC DELIVERIES THREADS KEY [name=value ...]
 *
 * Record i is line i (from 0): value "<i> <line>", opaque i, key by KEY: "modulo:N" = i % N as text, "column:N" = word
 * N of the line. A key belongs to one thread (FNV-1a of the key), so its order is the file's. DELIVERIES gets 40 bytes
 * per delivery (struct entry); tests/kafka/check.rs compares them with what another client reads. Ends with 0 only if
 * everything was accepted and delivered. */
#define _POSIX_C_SOURCE 200809L
#include "kurier.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 64, POLLED_MAX = 1024, MODULO = 0, COLUMN = 1 };

struct line {
    const char *text;
    size_t size;
};

/* No padding: the file holds these as they are. */
struct entry {
    uint64_t opaque;
    int64_t offset, timestamp_ms;
    int32_t partition, code;
    uint32_t outcome;
    int32_t broker_code;
};

struct program {
    kurier_producer *producer;
    uint32_t topic;
    struct line *lines;
    size_t count, longest;
    int key_kind;
    unsigned long key_number;
    uint32_t threads;
    FILE *deliveries;
    uint64_t delivered, undelivered;
    int poll_failed;
    atomic_int send_failed;
};

struct share {
    struct program *program;
    uint32_t number;
};

static void die(const char *what, const char *why) {
    fprintf(stderr, "million: %s: %s\n", what, why);
    exit(2);
}

/* The key of line `number`: a part of the line, or text in `room`. */
static struct line key_of(const struct program *program, size_t number, char room[32]) {
    struct line key = {room, 0};
    if (program->key_kind == MODULO) {
        key.size = (size_t)snprintf(room, 32, "%zu", number % program->key_number);
        return key;
    }
    const char *at = program->lines[number].text, *end = at + program->lines[number].size;
    for (unsigned long column = 0;; column++) {
        while (at < end && (*at == ' ' || *at == '\t')) at++;
        const char *begin = at;
        while (at < end && *at != ' ' && *at != '\t') at++;
        if (begin == at) return key;
        if (column == program->key_number) {
            key.text = begin;
            key.size = (size_t)(at - begin);
            return key;
        }
    }
}

static uint32_t fnv1a(const char *bytes, size_t size) {
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x01000193u;
    return hash;
}

static void *send_share(void *argument) {
    const struct share *share = argument;
    struct program *program = share->program;
    char room[32];
    size_t capacity = program->longest + 32;
    char *value = malloc(capacity);
    if (value == NULL) die("send", "no memory");
    for (size_t i = 0; i < program->count && !atomic_load(&program->send_failed); i++) {
        struct line key = key_of(program, i, room);
        if (fnv1a(key.text, key.size) % program->threads != share->number) continue;
        int head = snprintf(value, capacity, "%zu ", i);
        memcpy(value + head, program->lines[i].text, program->lines[i].size);
        kurier_record record = {0};
        record.key = key.text;
        record.key_size = key.size;
        record.value = value;
        record.value_size = (size_t)head + program->lines[i].size;
        record.opaque = i;
        record.topic = program->topic;
        kurier_code code = kurier_producer_send(program->producer, &record, -1);
        if (code != KURIER_CODE_OK) {
            fprintf(stderr, "million: record %zu: %s\n", i, kurier_code_name(code));
            atomic_store(&program->send_failed, 1);
        }
    }
    free(value);
    return NULL;
}

/* Until close was called and everything was read. */
static void *poll_all(void *argument) {
    struct program *program = argument;
    static kurier_delivery polled[POLLED_MAX];
    for (;;) {
        size_t count = 0;
        kurier_code code = kurier_producer_poll(program->producer, -1, polled, POLLED_MAX, &count);
        for (size_t i = 0; i < count; i++) {
            const kurier_delivery *one = &polled[i];
            struct entry entry = {one->opaque, one->offset,  one->timestamp_ms, one->partition,
                                  one->code,   one->outcome, one->broker_code};
            if (fwrite(&entry, sizeof entry, 1, program->deliveries) != 1) program->poll_failed = 1;
            program->delivered++;
            if (one->code != KURIER_CODE_OK || one->outcome != KURIER_OUTCOME_WRITTEN) program->undelivered++;
        }
        if (code == KURIER_CODE_CLOSED) return NULL;
        if (code != KURIER_CODE_OK) {
            fprintf(stderr, "million: poll: %s\n", kurier_code_name(code));
            program->poll_failed = 1;
            return NULL;
        }
    }
}

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) die(path, "cannot be read");
    long end = ftell(file);
    rewind(file);
    char *text = malloc((size_t)end + 1);
    if (text == NULL || fread(text, 1, (size_t)end, file) != (size_t)end) die(path, "cannot be read");
    fclose(file);
    *size = (size_t)end;
    return text;
}

static void split(struct program *program, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) program->count += text[i] == '\n';
    program->lines = calloc(program->count + 1, sizeof *program->lines);
    if (program->lines == NULL) die("lines", "no memory");
    const char *begin = text;
    for (size_t i = 0; i < program->count; i++) {
        const char *end = memchr(begin, '\n', size - (size_t)(begin - text));
        program->lines[i].text = begin;
        program->lines[i].size = (size_t)(end - begin);
        if (program->lines[i].size > program->longest) program->longest = program->lines[i].size;
        begin = end + 1;
    }
}

static kurier_producer *make_producer(int count, char **settings) {
    kurier_error error = {0};
    error.size = sizeof error;
    kurier_config *config = kurier_config_new();
    if (config == NULL) die("config", "no memory");
    for (int i = 0; i < count; i++) {
        char *value = strchr(settings[i], '=');
        if (value == NULL) die(settings[i], "is not name=value");
        *value++ = '\0';
        if (kurier_config_set(config, settings[i], value, &error) != KURIER_CODE_OK) die(settings[i], error.message);
    }
    kurier_producer *producer = NULL;
    if (kurier_producer_new(config, &producer, &error) != KURIER_CODE_OK) die("producer", error.message);
    kurier_config_destroy(config);
    return producer;
}

/* Flush, close, until the poll thread has read the last delivery. */
static int finish(struct program *program, pthread_t poller) {
    int failed = 0;
    kurier_error error = {0};
    error.size = sizeof error;
    if (kurier_producer_flush(program->producer, -1, &error) != KURIER_CODE_OK) {
        fprintf(stderr, "million: flush: %s\n", error.message);
        failed = 1;
    }
    if (kurier_producer_close(program->producer, -1, &error) != KURIER_CODE_OK) {
        fprintf(stderr, "million: close: %s\n", error.message);
        failed = 1;
    }
    pthread_join(poller, NULL);
    kurier_producer_destroy(program->producer);
    if (fclose(program->deliveries) != 0) failed = 1;
    return failed;
}

int main(int argc, char **argv) {
    if (argc < 6) die("usage", "million FILE TOPIC DELIVERIES THREADS KEY [name=value ...]");
    static struct program program;
    size_t size = 0;
    char *text = read_file(argv[1], &size);
    split(&program, text, size);
    program.deliveries = fopen(argv[3], "wb");
    if (program.deliveries == NULL) die(argv[3], "cannot be written");
    program.threads = (uint32_t)strtoul(argv[4], NULL, 10);
    const char *number = strchr(argv[5], ':');
    if (number == NULL) die(argv[5], "is neither modulo:N nor column:N");
    program.key_kind = strncmp(argv[5], "column", 6) == 0 ? COLUMN : MODULO;
    program.key_number = strtoul(number + 1, NULL, 10);
    if (program.threads == 0 || program.threads > THREADS_MAX) die(argv[4], "threads must be 1 to 64");
    if (program.key_kind == MODULO && program.key_number == 0) die(argv[5], "modulo 0");

    program.producer = make_producer(argc - 6, argv + 6);
    if (kurier_producer_topic(program.producer, argv[2], strlen(argv[2]), &program.topic) != KURIER_CODE_OK)
        die(argv[2], "is not a topic");

    pthread_t poller, senders[THREADS_MAX];
    struct share shares[THREADS_MAX];
    if (pthread_create(&poller, NULL, poll_all, &program) != 0) die("thread", "cannot be started");
    for (uint32_t i = 0; i < program.threads; i++) {
        shares[i] = (struct share){&program, i};
        if (pthread_create(&senders[i], NULL, send_share, &shares[i]) != 0) die("thread", "cannot be started");
    }
    for (uint32_t i = 0; i < program.threads; i++) pthread_join(senders[i], NULL);
    int failed = finish(&program, poller);

    printf("lines=%zu delivered=%" PRIu64 " undelivered=%" PRIu64 "\n", program.count, program.delivered,
           program.undelivered);
    free(program.lines);
    free(text);
    failed |= program.poll_failed || atomic_load(&program.send_failed) || program.undelivered != 0;
    return failed || program.delivered != program.count;
}
