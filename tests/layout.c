// Sizes and places of everything that crosses, as a C or C++ compiler sees them. Compiled, never run.
#include "kurier.h"

#ifdef __cplusplus
#define CHECK(what) static_assert(what, #what)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define CHECK(what) _Static_assert(what, #what)
#else
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define CHECK(what) typedef char JOIN(check_on_line_, __LINE__)[(what) ? 1 : -1]
#endif
#define AT(type, field, place) CHECK(offsetof(type, field) == (place))

CHECK(sizeof(kurier_code) == 4);
CHECK(sizeof(void *) == 8);

CHECK(sizeof(kurier_error) == 256);
AT(kurier_error, size, 0);
AT(kurier_error, code, 4);
AT(kurier_error, broker_code, 8);
AT(kurier_error, flags, 12);
AT(kurier_error, message, 16);

CHECK(sizeof(kurier_header) == 32);
AT(kurier_header, name, 0);
AT(kurier_header, value, 8);
AT(kurier_header, name_size, 16);
AT(kurier_header, value_size, 24);

CHECK(sizeof(kurier_record) == 80);
AT(kurier_record, key, 0);
AT(kurier_record, value, 8);
AT(kurier_record, headers, 16);
AT(kurier_record, key_size, 24);
AT(kurier_record, value_size, 32);
AT(kurier_record, header_count, 40);
AT(kurier_record, timestamp_ms, 48);
AT(kurier_record, opaque, 56);
AT(kurier_record, topic, 64);
AT(kurier_record, partition, 68);
AT(kurier_record, flags, 72);
AT(kurier_record, reserved, 76);

CHECK(sizeof(kurier_delivery) == 40);
AT(kurier_delivery, opaque, 0);
AT(kurier_delivery, offset, 8);
AT(kurier_delivery, timestamp_ms, 16);
AT(kurier_delivery, topic, 24);
AT(kurier_delivery, partition, 28);
AT(kurier_delivery, code, 32);
AT(kurier_delivery, broker_code, 36);
AT(kurier_delivery, outcome, 38);
AT(kurier_delivery, attempts, 39);

CHECK(KURIER_CODE_OK == 0 && KURIER_CODE_QUEUE_FULL == -1 && KURIER_CODE_UNREACHABLE == -23);
CHECK(KURIER_ERROR_RETRIABLE == 1 && KURIER_ERROR_FATAL == 4);
CHECK(KURIER_RECORD_PARTITION == 1 && KURIER_RECORD_TIMESTAMP == 2 && KURIER_RECORD_QUIET == 4);
CHECK(KURIER_OUTCOME_UNKNOWN == 0 && KURIER_OUTCOME_WRITTEN == 1 && KURIER_OUTCOME_NOT_WRITTEN == 2);
CHECK(KURIER_PURGE_QUEUED == 1 && KURIER_PURGE_IN_FLIGHT == 2);
CHECK(KURIER_LOG_ERROR == 1 && KURIER_LOG_WARN == 2 && KURIER_LOG_INFO == 3 && KURIER_LOG_DEBUG == 4);
CHECK((KURIER_VERSION & 0xff) == 0 && KURIER_VERSION > 0);
