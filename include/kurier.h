// kurier: an Apache Kafka producer. This file is made from src/ffi; change it there.
//
// The twelve rules
//
//  1. A function's prefix names the type of its first argument (its subject, where there is no handle). Then come
//     inputs, then the timeout, then outputs, then kurier_error * (last, may be NULL).
//  2. Every call that can fail returns a kurier_code. Outputs are required and written only as documented; on failure
//     counts are 0 (except `accepted`) and handles NULL.
//  3. No call waits unless it takes `timeout_ms`. 0 never waits. -1 waits as long as the settings say: `max.block.ms`
//     to be accepted (send forms) and for metadata, `delivery.timeout.ms` in flush and close, without limit in poll.
//     Less is INVALID_ARGUMENT.
//  4. No call keeps a pointer that it was given, except `userdata`. Records are copied before it returns, straight
//     into the batch that is sent.
//  5. Memory is freed by who made it. Only kurier_config, kurier_producer and kurier_cluster are ever destroyed (NULL
//     is fine). No string, error or array needs freeing.
//  6. A kurier_producer (and a kurier_cluster) may be used by any thread at any time; only destroy must be alone and
//     last. After close whatever would send or wait answers CLOSED, also a call that was waiting; deliveries can
//     still be polled.
//  7. Callbacks take `userdata` first, run without a lock held, and do not throw, longjmp or exit. Which thread calls
//     stands at each type. Inside one, sends of the same producer behave as with `timeout_ms` 0, what only waits
//     (flush, close, send_wait) answers WRONG_THREAD, destroy does nothing; inside all but the delivery callback only
//     topic_name, partition_count, pending and wake work. After close returned no callback runs.
//  8. Exactly one delivery comes for every accepted record (none if QUIET and its code is OK). Its `outcome` says
//     whether the record is in the log, is not and never will be, or may be. Not accepted: no delivery. With a
//     delivery callback poll answers WRONG_STATE: there is one reader, chosen once.
//  9. A struct filled with zeros is valid and means "defaults". Reserved fields and unknown flags are zero, or
//     INVALID_ARGUMENT. Topic 0 does not exist (ids begin at 1), and an id belongs to its producer: a forgotten or
//     mixed-up one is an error.
// 10. kurier_record, kurier_header and kurier_delivery are frozen. A struct with `size` first may grow at its end:
//     the library reads and writes only `size` bytes; 0 means the size of its first version, stated there; less is
//     INVALID_ARGUMENT.
// 11. Numbers of codes and flags are never changed or reused; unknown ones from a newer library are to be treated as
//     failure. Inputs are integers, and checked.
// 12. Bytes are const void *, text is const char * in UTF-8. Topic, key, value and header text is pointer and size,
//     not NUL-terminated; names and values of settings are NUL-terminated. NULL key or value is null (and its size 0,
//     or INVALID_ARGUMENT); not NULL with size 0 is empty. Text that the library writes into a buffer ends with NUL
//     and is cut at `capacity`; the size is that of the whole, without NUL (as snprintf). Buffer NULL with capacity 0
//     asks for it.
//
// NULL where something is required answers NULL_POINTER. After fork the child's calls answer FORKED for what the
// parent made (what returns no code: 0 or NULL; destroy does nothing); the child may make its own. Sizes that are
// stated hold for 64-bit targets.

#ifndef KURIER_H
#define KURIER_H

#include <stddef.h>
#include <stdint.h>

// kurier_error.flags: the same call may succeed later.
#define KURIER_ERROR_RETRIABLE 1

// kurier_error.flags: the producer is finished.
#define KURIER_ERROR_FATAL 4

// kurier_record.flags: `partition` holds; else the partitioner chooses.
#define KURIER_RECORD_PARTITION 1

// kurier_record.flags: `timestamp_ms` holds; else it is the time of the call.
#define KURIER_RECORD_TIMESTAMP 2

// kurier_record.flags: no delivery if its code would be OK.
#define KURIER_RECORD_QUIET 4

// kurier_delivery.outcome: the record was sent and may be in the log, at most once if `enable.idempotence` is true:
// its time was over, it was purged, its retries were used up, or no broker can tell any more (acks=0: none ever does).
// Look into the log before sending it again. docs/outcomes.md lists every case.
#define KURIER_OUTCOME_UNKNOWN 0

// kurier_delivery.outcome: the record is in the log, on all in-sync replicas (`acks=all`), once if idempotent.
#define KURIER_OUTCOME_WRITTEN 1

// kurier_delivery.outcome: the record is not in the log and never will be; it may be sent again.
#define KURIER_OUTCOME_NOT_WRITTEN 2

// kurier_producer_purge: what was never sent; its outcome is NOT_WRITTEN.
#define KURIER_PURGE_QUEUED 1

// kurier_producer_purge: what was sent and has no answer; its outcome is UNKNOWN.
#define KURIER_PURGE_IN_FLIGHT 2

// Level of a log line: something was lost or will not work.
#define KURIER_LOG_ERROR 1

// Level of a log line: something went wrong and is being dealt with.
#define KURIER_LOG_WARN 2

// Level of a log line: what an operator wants to know.
#define KURIER_LOG_INFO 3

// Level of a log line: what a developer wants to know.
#define KURIER_LOG_DEBUG 4

// The version that this header belongs to: 0xMMmmpp00, major, minor, patch.
#define KURIER_VERSION 65536

// Two libraries with the same number can take each other's place without compiling again; 0: not promised yet. It
// stands in the soname, too.
#define KURIER_ABI_VERSION 0

// An embedded cluster, for tests and demonstrations. Opaque; any thread, any time, except destroy.
typedef struct kurier_cluster kurier_cluster;

// Settings. Opaque; one thread at a time.
typedef struct kurier_config kurier_config;

// A producer. Opaque; any thread, any time, except destroy.
typedef struct kurier_producer kurier_producer;

// What a call or a record ended in: 0 is OK, the others are negative. More may follow; an unknown one is a failure.
typedef int32_t kurier_code;

// Why a call failed. Written by every call that gets one, also on OK (code 0, empty message). Begin with zeros.
typedef struct kurier_error {
  // Bytes of this struct that the caller has; 0: the 256 of this first version. It is not written.
  uint32_t size;
  // The code that the call returned.
  int32_t code;
  // Kafka's error code, 0 if no broker spoke; after TIMED_OUT the last one that stood in the way.
  int32_t broker_code;
  // KURIER_ERROR_RETRIABLE and KURIER_ERROR_FATAL.
  uint32_t flags;
  // A sentence in UTF-8, NUL at its end.
  char message[240];
} kurier_error;

// Chooses a partition for a record without KURIER_RECORD_PARTITION. Called by the sending thread, several at once.
// Returns 0 to partition_count-1; -1: as without a partitioner; else the record is not accepted, UNKNOWN_PARTITION.
typedef int32_t (*kurier_partitioner)(void *userdata,
                                      uint32_t topic,
                                      const void *key,
                                      size_t key_size,
                                      int32_t partition_count);

// Writes an object as bytes. Called by the sending thread, several at once. Returns the size; one >= capacity did not
// fit, and it is called again with more (as snprintf, which may be used). -1: null; less: not accepted, SERIALIZATION.
// Two calls for one object must write the same.
typedef int64_t (*kurier_serializer)(void *userdata,
                                     uint32_t topic,
                                     const void *object,
                                     size_t object_size,
                                     void *buffer,
                                     size_t capacity);

// What became of one record. `code` OK: written (with acks=0 UNKNOWN); any other: NOT_WRITTEN or UNKNOWN.
// 40 bytes.
typedef struct kurier_delivery {
  // That of the record.
  uint64_t opaque;
  // Its offset in the partition; -1 if no broker told it.
  int64_t offset;
  // The timestamp that the log has.
  int64_t timestamp_ms;
  // The record's topic id.
  uint32_t topic;
  // The partition that it went to.
  int32_t partition;
  // A kurier_code.
  int32_t code;
  // The last broker error, also with TIMED_OUT; 0 if none.
  int16_t broker_code;
  // KURIER_OUTCOME_...: what is known about the record's place in the log.
  uint8_t outcome;
  // How often it was sent; 255: or more.
  uint8_t attempts;
} kurier_delivery;

// Gets deliveries. Called by the library's delivery thread, one call at a time; the array is gone after it.
// May call everything that does not wait.
typedef void (*kurier_delivery_callback)(void *userdata, const struct kurier_delivery *deliveries, size_t count);

// Says that kurier_producer_poll would return at once. Called by a library thread; carries nothing, may come once
// too often; only to wake somebody who polls.
typedef void (*kurier_ready_callback)(void *userdata);

// Gets one line of logfmt, UTF-8, without newline or NUL, of level `log.level` or worse. Called by any thread, several
// at once. Without it nothing is written anywhere.
typedef void (*kurier_log_callback)(void *userdata, int32_t level, const char *text, size_t size);

// A header of a record. 32 bytes.
typedef struct kurier_header {
  // UTF-8, not NUL-terminated. NULL only with size 0, which is the empty name.
  const char *name;
  // NULL is null; with size 0 and not NULL it is empty.
  const void *value;
  // Bytes of the name.
  size_t name_size;
  // Bytes of the value.
  size_t value_size;
} kurier_header;

// A record to send. With zeros it has no key, no value, no headers, the time of the call, the partitioner's choice.
// 80 bytes.
typedef struct kurier_record {
  // NULL is null; with size 0 and not NULL it is empty.
  const void *key;
  // NULL is null; with size 0 and not NULL it is empty.
  const void *value;
  // `header_count` of them.
  const struct kurier_header *headers;
  // Bytes of the key.
  size_t key_size;
  // Bytes of the value.
  size_t value_size;
  // How many headers; they keep their order.
  size_t header_count;
  // Milliseconds since 1970, not negative; holds with KURIER_RECORD_TIMESTAMP.
  int64_t timestamp_ms;
  // Any number; comes back in the delivery.
  uint64_t opaque;
  // An id from kurier_producer_topic.
  uint32_t topic;
  // Holds with KURIER_RECORD_PARTITION.
  int32_t partition;
  // KURIER_RECORD_...
  uint32_t flags;
  // 0.
  uint32_t reserved;
} kurier_record;

// No error.
#define KURIER_CODE_OK 0

// No room in buffer.memory within the time.
#define KURIER_CODE_QUEUE_FULL -1

// The time ran out: metadata, flush, close, delivery.
#define KURIER_CODE_TIMED_OUT -2

// After close.
#define KURIER_CODE_CLOSED -3

// A pointer that is required is NULL.
#define KURIER_CODE_NULL_POINTER -4

// An argument is not valid; also: an unknown or contradictory setting.
#define KURIER_CODE_INVALID_ARGUMENT -5

// Not inside this callback.
#define KURIER_CODE_WRONG_THREAD -6

// Not now, or not with this configuration.
#define KURIER_CODE_WRONG_STATE -7

// Larger than max.request.size, or than the broker's limit.
#define KURIER_CODE_RECORD_TOO_LARGE -8

// The brokers do not have it.
#define KURIER_CODE_UNKNOWN_TOPIC -9

// The topic does not have it.
#define KURIER_CODE_UNKNOWN_PARTITION -10

// A broker refused it; broker_code says why.
#define KURIER_CODE_REJECTED -11

// Given up by purge or close.
#define KURIER_CODE_PURGED -12

// A newer producer has the transactional id.
#define KURIER_CODE_FENCED -13

// A child after fork; the handle belongs to the parent.
#define KURIER_CODE_FORKED -14

// The producer is finished; its status says why.
#define KURIER_CODE_FATAL -15

// A defect, or no resources; the message says which.
#define KURIER_CODE_INTERNAL -16

// The brokers do not allow it.
#define KURIER_CODE_NOT_AUTHORIZED -17

// Authentication failed.
#define KURIER_CODE_AUTHENTICATION -18

// A secure connection could not be made.
#define KURIER_CODE_TLS -19

// Not supported by the brokers or by this build.
#define KURIER_CODE_UNSUPPORTED -20

// The transaction was, or can only be, aborted.
#define KURIER_CODE_ABORTED -21

// The serializer said no.
#define KURIER_CODE_SERIALIZATION -22

// No broker answers, or what answers is not Kafka.
#define KURIER_CODE_UNREACHABLE -23

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library that runs, as KURIER_VERSION.
uint32_t kurier_version(void);

// The ABI of the library that runs; compare it with KURIER_ABI_VERSION.
uint32_t kurier_abi_version(void);

// The name of a kurier_code: "QUEUE_FULL". Static, never NULL.
const char *kurier_code_name(int32_t code);

// A kurier_code as a sentence. Static, never NULL.
const char *kurier_code_text(int32_t code);

// The name of one of Kafka's error codes: "NOT_LEADER_OR_FOLLOWER". Static, never NULL.
const char *kurier_broker_code_name(int32_t code);

// New settings with Kafka's defaults; NULL if there is no memory. Ends with kurier_config_destroy.
struct kurier_config *kurier_config_new(void);

// Frees settings; NULL is fine. Producers made of them are not concerned.
void kurier_config_destroy(struct kurier_config *config);

// Sets one setting, by Kafka's name. A name or a value that cannot be honoured is INVALID_ARGUMENT or UNSUPPORTED; the
// message names it, what is allowed and the nearest known name.
kurier_code kurier_config_set(struct kurier_config *config,
                              const char *name,
                              const char *value,
                              struct kurier_error *error);

// Sets everything that a .properties text in UTF-8 says: all of it or nothing. The message has the line.
kurier_code kurier_config_load(struct kurier_config *config, const char *text, size_t size, struct kurier_error *error);

// The value of a setting as text, its default if it was not set, `[redacted]` if it is a secret. Buffer, capacity
// and size: rule 12. INVALID_ARGUMENT: no such setting.
kurier_code kurier_config_get(const struct kurier_config *config,
                              const char *name,
                              char *buffer,
                              size_t capacity,
                              size_t *size);

// The name of the setting with this index, from 0; NULL after the last. Static.
const char *kurier_config_name(size_t index);

// A partitioner of the application's own. NULL: the library's.
kurier_code kurier_config_set_partitioner(struct kurier_config *config, void *userdata, kurier_partitioner partitioner);

// Makes keys of objects in kurier_producer_send_object. NULL: the one that `key.serializer` names.
kurier_code kurier_config_set_key_serializer(struct kurier_config *config,
                                             void *userdata,
                                             kurier_serializer serializer);

// Makes values of objects in kurier_producer_send_object. NULL: the one that `value.serializer` names.
kurier_code kurier_config_set_value_serializer(struct kurier_config *config,
                                               void *userdata,
                                               kurier_serializer serializer);

// Has deliveries handed over by a thread of the library's; poll then answers WRONG_STATE. NULL: they are polled.
kurier_code kurier_config_set_delivery_callback(struct kurier_config *config,
                                                void *userdata,
                                                kurier_delivery_callback callback);

// Has the application told that poll would return at once; only without a delivery callback. NULL: it is not told.
kurier_code kurier_config_set_ready_callback(struct kurier_config *config,
                                             void *userdata,
                                             kurier_ready_callback callback);

// Has the application told what happens, line by line. NULL: nothing is written anywhere.
kurier_code kurier_config_set_log_callback(struct kurier_config *config, void *userdata, kurier_log_callback callback);

// Makes a producer. The settings are copied, so they may make more; it connects later, so no broker need be there.
// `*producer` is NULL on failure. Ends with kurier_producer_destroy.
kurier_code kurier_producer_new(const struct kurier_config *config,
                                struct kurier_producer **producer,
                                struct kurier_error *error);

// Sends what is accepted and ends. What is left when the time runs out is purged, and the answer is TIMED_OUT.
// -1: `delivery.timeout.ms`. Waits for a running callback beyond that. Deliveries can still be polled after it.
kurier_code kurier_producer_close(struct kurier_producer *producer, int64_t timeout_ms, struct kurier_error *error);

// Frees a producer; NULL is fine. Closes with no time if it was not closed; deliveries that nobody polled are lost.
// Must be alone and last. Waits for a running callback, for no network; inside a callback it does nothing.
void kurier_producer_destroy(struct kurier_producer *producer);

// OK, or what stands in the way now: FATAL and FENCED for ever; UNREACHABLE, AUTHENTICATION, TLS while they last.
kurier_code kurier_producer_status(const struct kurier_producer *producer, struct kurier_error *error);

// The id of a topic, for this producer; the same name gives the same id. Asks no broker. 0 on failure.
// INVALID_ARGUMENT: not a name that Kafka allows.
kurier_code kurier_producer_topic(struct kurier_producer *producer, const char *name, size_t size, uint32_t *topic);

// The name behind an id, valid until destroy; NULL and 0 on failure.
kurier_code kurier_producer_topic_name(const struct kurier_producer *producer,
                                       uint32_t topic,
                                       const char **name,
                                       size_t *size);

// How many partitions a topic has. Fetches the metadata if need be (-1: `max.block.ms`), and says why there is none.
kurier_code kurier_producer_partition_count(struct kurier_producer *producer,
                                            uint32_t topic,
                                            int64_t timeout_ms,
                                            int32_t *count,
                                            struct kurier_error *error);

// OK: everything accepted before has its fate, good or bad, and its callback has returned. Needs no poll.
// -1: `delivery.timeout.ms`. TIMED_OUT: not yet; nothing is given up.
kurier_code kurier_producer_flush(struct kurier_producer *producer, int64_t timeout_ms, struct kurier_error *error);

// Gives up records that have no fate yet: KURIER_PURGE_QUEUED, KURIER_PURGE_IN_FLIGHT or both. They are delivered with
// the code PURGED; `*purged` is how many.
kurier_code kurier_producer_purge(struct kurier_producer *producer, uint32_t what, size_t *purged);

// Accepts a record: copies it into the open batch of its partition. Waits for metadata (TIMED_OUT, or the reason) and
// for memory (QUEUE_FULL); -1: `max.block.ms`. OK: exactly one delivery will come. Else: none.
kurier_code kurier_producer_send(struct kurier_producer *producer,
                                 const struct kurier_record *record,
                                 int64_t timeout_ms);

// Accepts records from the first on, as kurier_producer_send each, within one timeout. `*accepted` of them are in,
// also on failure; the code is about the next one, and the call can be repeated from there.
kurier_code kurier_producer_send_batch(struct kurier_producer *producer,
                                       const struct kurier_record *records,
                                       size_t count,
                                       int64_t timeout_ms,
                                       size_t *accepted);

// As kurier_producer_send, but key and value are objects; the serializers, set or named in the settings, make bytes of
// them. SERIALIZATION: one of the serializers said no.
kurier_code kurier_producer_send_object(struct kurier_producer *producer,
                                        const struct kurier_record *record,
                                        int64_t timeout_ms);

// Sends one record at once and waits for its fate, which goes to this caller alone, whatever else reads deliveries.
// `*delivery` is filled whatever the code: NOT_WRITTEN if it was not accepted; UNKNOWN with TIMED_OUT after that, and
// nothing more comes; else the code is the delivery's. -1: `max.block.ms`, then `delivery.timeout.ms`.
kurier_code kurier_producer_send_wait(struct kurier_producer *producer,
                                      const struct kurier_record *record,
                                      int64_t timeout_ms,
                                      struct kurier_delivery *delivery,
                                      struct kurier_error *error);

// Takes deliveries: OK with 1 to `capacity` of them; OK with 0 when the time is over or somebody woke it; CLOSED when
// the producer is closed and everything was read. -1: without limit. Several threads may poll; each delivery goes to
// one of them. Deliveries that nobody takes count against `buffer.memory`. WRONG_STATE with a delivery callback.
kurier_code kurier_producer_poll(struct kurier_producer *producer,
                                 int64_t timeout_ms,
                                 struct kurier_delivery *deliveries,
                                 size_t capacity,
                                 size_t *count);

// Makes a waiting poll, else the next one, return OK with 0.
kurier_code kurier_producer_wake(struct kurier_producer *producer);

// How many records are accepted and not yet delivered to the application. 0 if it is no producer.
size_t kurier_producer_pending(const struct kurier_producer *producer);

// Starts a cluster of 1 to 9 brokers on free ports of 127.0.0.1, in this process. It creates topics on first use, with
// 4 partitions, and keeps the newest 64 MiB of each. `*cluster` is NULL on failure.
kurier_code kurier_cluster_new(int32_t brokers, struct kurier_cluster **cluster, struct kurier_error *error);

// What to write into `bootstrap.servers` of any client. Buffer, capacity and size: rule 12.
kurier_code kurier_cluster_address(const struct kurier_cluster *cluster, char *buffer, size_t capacity, size_t *size);

// Does something to the cluster: "create payments 6", "fail produce NOT_LEADER_OR_FOLLOWER 3", "delay 200ms",
// "stop 2". INVALID_ARGUMENT: the message says what is understood.
kurier_code kurier_cluster_command(struct kurier_cluster *cluster, const char *command, struct kurier_error *error);

// Stops a cluster; NULL is fine. For producers it is the loss of every broker: the order of destroying is free.
void kurier_cluster_destroy(struct kurier_cluster *cluster);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KURIER_H */
