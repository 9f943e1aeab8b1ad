// An embedded cluster as a process of its own, for tests of any Kafka client. Prints its address, then does what the
// lines of standard input say ("create payments 6", "stop 2", ...), until "quit" or their end.
//
//     cluster [BROKERS]

#include <kurier.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    kurier_error error = {0};
    kurier_cluster *cluster;
    char address[1024], line[1024];
    size_t size;

    if (kurier_cluster_new(count > 1 ? atoi(arguments[1]) : 1, &cluster, &error)) {
        fprintf(stderr, "cluster: %s\n", error.message);
        return 1;
    }
    kurier_cluster_address(cluster, address, sizeof address, &size);
    puts(address);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (strcmp(line, "quit") == 0)
            break;
        if (line[0] == 0)
            continue;
        puts(kurier_cluster_command(cluster, line, &error) ? error.message : "OK");
        fflush(stdout);
    }
    kurier_cluster_destroy(cluster);
    return 0;
}
