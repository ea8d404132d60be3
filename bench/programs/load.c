/* The load of the benchmarks. It takes its own time, so that the truth does not pass through keelwatch.
 *
 *   load opens COUNT PATH         open PATH read-only and close it; prints ns of CPU time in all
 *   load spawns COUNT PATH        run PATH, wait for its end, and again; prints ns in all
 *   load timed PATH [ARG...]      prints the time (ns since the epoch) and PATH, and becomes PATH
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    return 1;
}

static long long now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int opens(long count, const char *path) {
    for (; count > 0; count--) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return fail(path);
        close(fd);
    }
    return 0;
}

static int spawns(long count, char *path) {
    char *argv[] = {path, 0};
    for (; count > 0; count--) {
        pid_t child;
        int status = 0;
        errno = posix_spawn(&child, path, 0, 0, argv, environ);
        if (errno || waitpid(child, &status, 0) != child || status)
            return fail(path);
    }
    return 0;
}

static int timed(char **command) {
    char line[4200];
    /* One write, so that lines of several processes do not mix, and as close to execve as can be. */
    int length = snprintf(line, sizeof line, "%lld %.4096s\n", now(CLOCK_REALTIME), command[0]);
    if (write(1, line, length) != length)
        return fail("write");
    execv(command[0], command);
    return fail(command[0]);
}

int main(int argc, char **argv) {
    const char *verb = argc > 2 ? argv[1] : "";
    /* Of opens the CPU time, which waiting for a processor does not change; spawns have many processes. */
    clockid_t clock = strcmp(verb, "opens") == 0 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    long long begun = now(clock);
    int failed;
    if (strcmp(verb, "timed") == 0)
        return timed(argv + 2);
    if (argc == 4 && strcmp(verb, "opens") == 0)
        failed = opens(atol(argv[2]), argv[3]);
    else if (argc == 4 && strcmp(verb, "spawns") == 0)
        failed = spawns(atol(argv[2]), argv[3]);
    else
        return fprintf(stderr, "load: opens|spawns COUNT PATH, or timed PATH [ARG...]\n"), 2;
    if (!failed)
        printf("%lld\n", now(clock) - begun);
    return failed;
}
