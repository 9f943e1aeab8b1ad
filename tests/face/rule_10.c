// Rule 10: a struct with `size` is read and written within it; 0 is the first version; less is an error.
#include "check.h"

int main(void)
{
    kurier_config *config = kurier_config_new();
    kurier_error error;
    for (uint32_t size = 1; size < 256; size++) {
        memset(&error, 0x41, sizeof error);
        error.size = size;
        CODE(kurier_config_set(config, "client.id", "not done", &error), INVALID);
        CHECK(error.code == 0x41414141 && error.message[0] == 0x41 && error.message[239] == 0x41);
    }
    char value[32];
    size_t length;
    CODE(kurier_config_get(config, "client.id", value, sizeof value, &length), OK);
    CHECK(strcmp(value, "not done") != 0);

    uint32_t sizes[] = {0, 256};
    for (int i = 0; i < 2; i++) {
        memset(&error, 0x41, sizeof error);
        error.size = sizes[i];
        CODE(kurier_config_set(config, "linger", "5", &error), INVALID);
        CHECK(error.size == sizes[i] && error.code == INVALID && error.broker_code == 0);
        CHECK((error.flags & ~(uint32_t)(KURIER_ERROR_RETRIABLE | KURIER_ERROR_FATAL)) == 0);
        CHECK(memchr(error.message, 0, sizeof error.message) && strstr(error.message, "linger"));
        // on OK too
        CODE(kurier_config_set(config, "linger.ms", "5", &error), OK);
        CHECK(error.code == OK && error.flags == 0 && error.message[0] == 0);
    }

    // a later version of the struct: this library writes what it knows
    struct {
        kurier_error error;
        unsigned char more[64];
    } later;
    memset(&later, 0x41, sizeof later);
    later.error.size = sizeof later;
    CODE(kurier_config_set(config, "linger", "5", &later.error), INVALID);
    CHECK(later.error.code == INVALID && later.error.size == sizeof later);
    for (int i = 0; i < 64; i++)
        CHECK(later.more[i] == 0x41);

    kurier_config_destroy(config);
    return 0;
}
