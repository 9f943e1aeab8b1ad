// Sends every line of a file, or of standard input, and tells what became of each: one line per record, a summary at
// the end. Lines with the same key (a column) go to the same partition, in order. Ends with 1 if a record failed.
//
//     payments [-b SERVERS] [-t TOPIC] [-k COLUMN] [-d DELIMITER] [-H] [-q] [-X NAME=VALUE]... [FILE]

#define _POSIX_C_SOURCE 200809L

#include <kurier.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { DELIVERIES = 256, PARTITIONS_SHOWN = 64 };

static const char usage[] =
    "usage: payments [options] [FILE]\n"
    "  -b SERVERS     bootstrap.servers (embedded:3, three brokers in this process)\n"
    "  -t TOPIC       the topic (payments)\n"
    "  -k COLUMN      the column that is the key, from 1; 0: no key (2)\n"
    "  -d DELIMITER   one character between columns (,)\n"
    "  -H             the first line is a heading\n"
    "  -q             only failures and the summary\n"
    "  -X NAME=VALUE  any setting; may be repeated\n";

typedef struct {
    const char *servers, *topic, *name;
    FILE *file;
    unsigned column;
    char delimiter;
    int heading, quiet;
} options;

typedef struct {
    uint64_t lines, written, not_written, unknown, failed, bytes;
    uint64_t partitions[PARTITIONS_SHOWN];
    double start, shown;
    int terminal;
} tally;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// ---- what is told ----

static void show_progress(tally *t, int last)
{
    if (!t->terminal || (!last && seconds() - t->shown < 0.1))
        return;
    t->shown = seconds();
    fprintf(stderr, "\r%" PRIu64 " sent, %" PRIu64 " written, %" PRIu64 " failed%s", t->lines, t->written,
            t->failed, last ? "\n" : "\033[K");
}

static void show_delivery(const options *o, tally *t, const kurier_delivery *d)
{
    t->written += d->outcome == KURIER_OUTCOME_WRITTEN;
    t->not_written += d->outcome == KURIER_OUTCOME_NOT_WRITTEN;
    t->unknown += d->outcome == KURIER_OUTCOME_UNKNOWN; // with acks=0 all of them, and that is no failure
    if (d->code == KURIER_CODE_OK) {
        if (d->partition < PARTITIONS_SHOWN)
            t->partitions[d->partition]++;
        if (!o->quiet)
            printf("%s:%" PRIu64 ": %s, partition %" PRId32 ", offset %" PRId64 "\n", o->name, d->opaque, o->topic,
                   d->partition, d->offset);
        return;
    }
    t->failed++;
    fprintf(stderr, "%s:%" PRIu64 ": %s: %s", o->name, d->opaque,
            d->outcome == KURIER_OUTCOME_UNKNOWN ? "may be written" : "not written", kurier_code_text(d->code));
    if (d->broker_code)
        fprintf(stderr, " (%s)", kurier_broker_code_name(d->broker_code));
    fputc('\n', stderr);
}

static void show_summary(const options *o, const tally *t)
{
    double time = seconds() - t->start;
    printf("%" PRIu64 " records, %" PRIu64 " bytes, %.2f s: %" PRIu64 " written, %" PRIu64 " not written, %" PRIu64
           " unknown\n",
           t->lines, t->bytes, time, t->written, t->not_written, t->unknown);
    for (int i = 0; i < PARTITIONS_SHOWN; i++)
        if (t->partitions[i])
            printf("%s, partition %d: %" PRIu64 "\n", o->topic, i, t->partitions[i]);
}

// ---- records ----

// Takes what has come back, waiting for the first one. 0: the producer is closed and everything was read.
static int read_deliveries(const options *o, tally *t, kurier_producer *producer, int64_t timeout_ms)
{
    kurier_delivery deliveries[DELIVERIES];
    size_t count;
    kurier_code code = kurier_producer_poll(producer, timeout_ms, deliveries, DELIVERIES, &count);
    for (size_t i = 0; i < count; i++)
        show_delivery(o, t, &deliveries[i]);
    show_progress(t, 0);
    return code == KURIER_CODE_OK;
}

// Finds column `o->column`; 0 if the line has no such column.
static int find_key(const options *o, const char *line, size_t size, kurier_record *record)
{
    const char *end = line + size, *from = line;
    if (o->column == 0)
        return 1;
    for (unsigned column = 1;; column++) {
        const char *to = memchr(from, o->delimiter, (size_t)(end - from));
        if (!to)
            to = end;
        if (column == o->column) {
            record->key = from;
            record->key_size = (size_t)(to - from);
            return 1;
        }
        if (to == end)
            return 0;
        from = to + 1;
    }
}

static uint64_t line_number(const options *o, const tally *t)
{
    return t->lines + (o->heading ? 1 : 0);
}

static void refuse(const options *o, tally *t, const char *why)
{
    t->failed++;
    t->not_written++;
    fprintf(stderr, "%s:%" PRIu64 ": not sent: %s\n", o->name, line_number(o, t), why);
}

// Has the line accepted. This thread also reads the deliveries, so it must not wait in `send`: the room that it would
// wait for is given back by its own polling.
static int send_line(const options *o, tally *t, kurier_producer *producer, kurier_record *record, const char *line,
                     size_t size)
{
    t->lines++;
    t->bytes += size;
    record->value = line;
    record->value_size = size;
    record->opaque = line_number(o, t);
    if (!find_key(o, line, size, record)) {
        refuse(o, t, "there is no such column");
        return 1;
    }
    for (;;) {
        kurier_code code = kurier_producer_send(producer, record, 0);
        if (code == KURIER_CODE_OK)
            return 1;
        if (code == KURIER_CODE_QUEUE_FULL || code == KURIER_CODE_TIMED_OUT) {
            read_deliveries(o, t, producer, 100);
            if (!interrupted)
                continue;
        }
        refuse(o, t, kurier_code_text(code));
        return code == KURIER_CODE_RECORD_TOO_LARGE;
    }
}

static void send_file(const options *o, tally *t, kurier_producer *producer, uint32_t topic)
{
    kurier_record record = {.topic = topic};
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    if (o->heading && getline(&line, &room, o->file) < 0)
        interrupted = 1;
    while (!interrupted && (size = getline(&line, &room, o->file)) >= 0) {
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
            size--;
        if (!send_line(o, t, producer, &record, line, (size_t)size))
            break;
        if (t->lines % DELIVERIES == 0)
            read_deliveries(o, t, producer, 0);
    }
    free(line);
}

// ---- start and end ----

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "payments: %s: %s\n", what, why);
    return 2;
}

static int set(kurier_config *config, const char *pair)
{
    kurier_error error = {0};
    const char *value = strchr(pair, '=');
    char name[128];
    if (!value || (size_t)(value - pair) >= sizeof name)
        return fail(pair, "not NAME=VALUE");
    memcpy(name, pair, (size_t)(value - pair));
    name[value - pair] = 0;
    return kurier_config_set(config, name, value + 1, &error) ? fail("settings", error.message) : 0;
}

static int read_options(options *o, kurier_config *config, int count, char **arguments)
{
    int option;
    while ((option = getopt(count, arguments, "b:t:k:d:HqX:")) != -1)
        switch (option) {
        case 'b': o->servers = optarg; break;
        case 't': o->topic = optarg; break;
        case 'k': o->column = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'd': o->delimiter = optarg[0]; break;
        case 'H': o->heading = 1; break;
        case 'q': o->quiet = 1; break;
        case 'X':
            if (set(config, optarg))
                return 2;
            break;
        default: fputs(usage, stderr); return 2;
        }
    if (optind < count && strcmp(arguments[optind], "-") != 0) {
        o->name = arguments[optind];
        o->file = fopen(o->name, "r");
        if (!o->file)
            return fail(o->name, strerror(errno));
    }
    kurier_error error = {0};
    if (kurier_config_set(config, "bootstrap.servers", o->servers, &error))
        return fail("settings", error.message);
    return 0;
}

static int run(const options *o, tally *t, kurier_producer *producer)
{
    kurier_error error = {0};
    uint32_t topic;
    int32_t partitions;
    kurier_code code = kurier_producer_topic(producer, o->topic, strlen(o->topic), &topic);
    if (code)
        return fail(o->topic, kurier_code_text(code));
    // Asked once at the beginning: it says in a sentence why nothing would go.
    if (kurier_producer_partition_count(producer, topic, -1, &partitions, &error))
        return fail(o->topic, error.message);

    send_file(o, t, producer, topic);
    // An interrupt stops the reading, not what is under way.
    while (kurier_producer_pending(producer) > 0)
        read_deliveries(o, t, producer, 100);
    code = kurier_producer_close(producer, -1, &error);
    while (read_deliveries(o, t, producer, 0))
        ;
    show_progress(t, 1);
    show_summary(o, t);
    if (code)
        return fail("close", error.message);
    return t->failed > 0;
}

int main(int count, char **arguments)
{
    options o = {.servers = "embedded:3", .topic = "payments", .name = "standard input", .file = stdin,
                 .column = 2, .delimiter = ','};
    tally t = {.start = seconds()};
    kurier_error error = {0};
    kurier_producer *producer = NULL;
    struct sigaction action = {.sa_handler = on_interrupt};

    kurier_config *config = kurier_config_new();
    int status = read_options(&o, config, count, arguments);
    if (status == 0 && kurier_producer_new(config, &producer, &error))
        status = fail("settings", error.message);
    kurier_config_destroy(config);
    if (status == 0) {
        t.terminal = isatty(STDERR_FILENO) && (o.quiet || !isatty(STDOUT_FILENO));
        sigaction(SIGINT, &action, NULL);
        status = run(&o, &t, producer);
    }
    kurier_producer_destroy(producer);
    if (o.file && o.file != stdin)
        fclose(o.file);
    return status;
}
