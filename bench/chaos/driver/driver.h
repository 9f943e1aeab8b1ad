// What every driver in C shares: the command line, the records, the journal. One client is linked to it.

#ifndef CHAOS_DRIVER_H
#define CHAOS_DRIVER_H

#include <stddef.h>
#include <stdint.h>

enum { THREADS_MAX = 16, SETTINGS_MAX = 64, VALUE_MAX = 65536, FILL_MIN = 32, OUTSTANDING_MAX = 1 << 20 };

// driver SERVERS JOURNAL RUN THREADS RECORDS RATE VALUE_SIZE EPOCH_MS TOPIC:PARTITIONS[,...] [NAME=VALUE ...]
typedef struct {
    const char *servers;
    uint32_t run;
    unsigned threads;
    uint64_t records; // each thread; 0: until standard input ends
    double rate;      // all threads together, per second; 0: as fast as it goes
    size_t value_size;
    int64_t epoch_ms; // explicit timestamps begin here; 0: there are none
    unsigned settings;
    const char *names[SETTINGS_MAX], *values[SETTINGS_MAX];
    struct {
        char name[64];
        int32_t partitions;
    } topics[THREADS_MAX]; // that of each thread
} options;

typedef struct {
    const char *name;
    const void *value;
    size_t value_size;
} header;

// A record as it has to arrive. Everything in it follows from the run, the thread and the number.
typedef struct {
    unsigned thread;
    uint32_t number;
    int32_t partition;    // -1: the partitioner's choice
    int64_t timestamp_ms; // -1: the time of the call
    const void *key, *value;
    size_t key_size, value_size;
    const header *headers;
    size_t header_count;
    uint64_t opaque; // the thread and the number, for the delivery
} content;

enum { UNKNOWN = 0, WRITTEN = 1, NOT_WRITTEN = 2 };

// What a client says of a record.
enum { ACCEPTED, AGAIN, REFUSED, ENDED };

// Each client's part.
int client_start(const options *o);
// Accepts a record, or says why not; may wait a second.
int client_send(const content *record, int *code);
// Hands over what has come back to `deliver`; may wait 100 ms. 0: nothing comes any more.
int client_read(void);
// Ends: everything accepted gets its delivery, which another thread reads at the same time.
void client_close(void);
void client_destroy(void);

// The driver's part, called from client_read.
void deliver(uint64_t opaque, int outcome, int code, int32_t partition, int64_t offset, int64_t timestamp_ms);
// The producer is finished, as it says.
void journal_fatal(int code);

#endif
