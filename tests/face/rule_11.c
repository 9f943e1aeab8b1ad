// Rule 11: numbers stay; unknown ones are failures outward and INVALID_ARGUMENT inward.
#include "check.h"

int main(void)
{
    CHECK(kurier_version() == KURIER_VERSION);
    CHECK(kurier_abi_version() == KURIER_ABI_VERSION);

    for (int32_t code = 0; code >= KURIER_CODE_UNREACHABLE; code--) {
        CHECK(strcmp(kurier_code_name(code), "UNKNOWN") != 0);
        CHECK(strlen(kurier_code_text(code)) > 5);
    }
    int32_t unknown[] = {1, -24, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++) {
        CHECK(strcmp(kurier_code_name(unknown[i]), "UNKNOWN") == 0);
        CHECK(kurier_code_text(unknown[i])[0]);
        CHECK(kurier_broker_code_name(unknown[i])[0]);
    }
    CHECK(strcmp(kurier_code_name(KURIER_CODE_OK), "OK") == 0);
    CHECK(strcmp(kurier_code_name(KURIER_CODE_UNREACHABLE), "UNREACHABLE") == 0);
    CHECK(strcmp(kurier_broker_code_name(0), "NONE") == 0);
    CHECK(strcmp(kurier_broker_code_name(-1), "UNKNOWN_SERVER_ERROR") == 0);
    // 6 in its lower 16 bits, but not a code of Kafka's
    CHECK(strcmp(kurier_broker_code_name(0x10006), "NOT_LEADER_OR_FOLLOWER") != 0);

    kurier_producer *producer = start("");
    size_t purged;
    uint32_t wrong[] = {0, 4, 7, UINT32_MAX};
    for (int i = 0; i < 4; i++)
        CODE(kurier_producer_purge(producer, wrong[i], &purged), INVALID);
    CODE(kurier_producer_purge(producer, KURIER_PURGE_QUEUED | KURIER_PURGE_IN_FLIGHT, &purged), OK);
    CHECK(purged == 0);
    stop(producer);
    return 0;
}
