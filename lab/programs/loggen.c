/* The demo workload: writes numbered log lines, so that a test can count them.
 *
 *   loggen [-n LINES] [-r LINES_PER_SECOND] [-s MESSAGE_BYTES] [-e EVERY] [-p PREFIX]
 *
 * Line i is "PREFIX i filler". LINES 0 means no end, rate 0 as fast as possible. Every EVERYth line
 * goes to stderr. After the last line it sleeps until a signal ends it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SIZE = 1 << 20 };

static void leave(int signal) {
    (void)signal;
    _exit(0);
}

static void pause_until(const struct timespec *start, long line, long rate) {
    struct timespec at = *start;
    at.tv_sec += line / rate;
    at.tv_nsec += line % rate * (1000000000L / rate);
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0);
}

int main(int argc, char **argv) {
    long lines = 0, rate = 0, size = 0, every = 10;
    const char *prefix = "order";
    for (int option; (option = getopt(argc, argv, "n:r:s:e:p:")) != -1;) {
        switch (option) {
        case 'n': lines = atol(optarg); break;
        case 'r': rate = atol(optarg); break;
        case 's': size = atol(optarg); break;
        case 'e': every = atol(optarg); break;
        case 'p': prefix = optarg; break;
        default: return 2;
        }
    }
    if (size < 0 || size > MAX_SIZE || rate < 0)
        return 2;
    /* As process 1 of its namespace the program gets no signal that it does not handle. */
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    char *filler = calloc(1, size + 1);
    memset(filler, 'x', size);
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 1; lines == 0 || i <= lines; i++) {
        FILE *out = every > 0 && i % every == 0 ? stderr : stdout;
        fprintf(out, "%s %ld %s\n", prefix, i, filler);
        if (rate) {
            fflush(stdout);
            pause_until(&start, i, rate);
        }
    }
    fflush(stdout);
    for (;;)
        pause();
}
