/* One system call each, for attacks and tests: what a shell cannot do by itself.
 *
 *   toolbox memfd FILE NAME [ARG...]   copy FILE into a memfd called NAME and run it from there
 *   toolbox setns PID KIND [ARG...]    enter PID's KIND (mnt, pid, net, ipc, uts, user, cgroup)
 *   toolbox unshare KIND [ARG...]      make a new namespace of that kind
 *   toolbox mount SOURCE TARGET TYPE   mount(2)
 *   toolbox ptrace PID                 attach to PID and leave it again
 *   toolbox chmod OCTAL PATH           chmod(2); likewise fchmod OCTAL PATH
 *   toolbox rename OLD NEW, link OLD NEW, unlink PATH
 *   toolbox opens COUNT PATH           open PATH read-only and close it, COUNT times
 *   toolbox spawns COUNT PATH          run PATH COUNT times, one after the other
 *   toolbox sleep SECONDS
 *
 * ARG... is a command to run afterwards. On failure: a message, and the errno as exit status.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int fail(const char *what) {
    int error = errno;
    fprintf(stderr, "toolbox: %s: %s\n", what, strerror(error));
    return error ? error : 1;
}

static int result_of(int result, const char *what) { return result < 0 ? fail(what) : 0; }

static int then_run(char **command) {
    if (!command[0])
        return 0;
    execvp(command[0], command);
    return fail(command[0]);
}

static int namespace_flag(const char *kind) {
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {{"mnt", CLONE_NEWNS},   {"pid", CLONE_NEWPID},   {"net", CLONE_NEWNET},      {"ipc", CLONE_NEWIPC},
                 {"uts", CLONE_NEWUTS}, {"user", CLONE_NEWUSER}, {"cgroup", CLONE_NEWCGROUP}};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, kind) == 0)
            return kinds[i].flag;
    return 0;
}

static int from_memfd(char **arguments) {
    int from = open(arguments[0], O_RDONLY | O_CLOEXEC);
    int to = memfd_create(arguments[1], MFD_CLOEXEC);
    struct stat about;
    if (from < 0 || to < 0 || fstat(from, &about) < 0)
        return fail(arguments[0]);
    for (off_t left = about.st_size; left > 0;) {
        ssize_t sent = sendfile(to, from, 0, left);
        if (sent <= 0)
            return fail("sendfile");
        left -= sent;
    }
    fexecve(to, arguments + 1, environ);
    return fail("fexecve");
}

static int enter(const char *pid, const char *kind, char **command) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/ns/%.20s", pid, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(path);
    return setns(fd, namespace_flag(kind)) < 0 ? fail("setns") : then_run(command);
}

static int trace(pid_t pid) {
    if (ptrace(PTRACE_ATTACH, pid, 0, 0) < 0)
        return fail("ptrace");
    waitpid(pid, 0, __WALL);
    return result_of(ptrace(PTRACE_DETACH, pid, 0, 0), "ptrace detach");
}

static int change_mode_by_descriptor(const char *path, mode_t mode) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return result_of(fd < 0 ? fd : fchmod(fd, mode), path);
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
        errno = posix_spawn(&child, path, 0, 0, argv, environ);
        if (errno)
            return fail(path);
        waitpid(child, 0, 0);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    char **rest = argv + 2;
    int given = argc - 2;
#define VERB(name, least) (strcmp(verb, name) == 0 && given >= (least))
    if (VERB("memfd", 2))
        return from_memfd(rest);
    if (VERB("setns", 2))
        return enter(rest[0], rest[1], rest + 2);
    if (VERB("unshare", 1))
        return unshare(namespace_flag(rest[0])) < 0 ? fail("unshare") : then_run(rest + 1);
    if (VERB("mount", 3))
        return result_of(mount(rest[0], rest[1], rest[2], 0, 0), "mount");
    if (VERB("ptrace", 1))
        return trace(atoi(rest[0]));
    if (VERB("chmod", 2))
        return result_of(chmod(rest[1], strtol(rest[0], 0, 8)), rest[1]);
    if (VERB("fchmod", 2))
        return change_mode_by_descriptor(rest[1], strtol(rest[0], 0, 8));
    if (VERB("rename", 2))
        return result_of(rename(rest[0], rest[1]), rest[0]);
    if (VERB("link", 2))
        return result_of(link(rest[0], rest[1]), rest[0]);
    if (VERB("unlink", 1))
        return result_of(unlink(rest[0]), rest[0]);
    if (VERB("opens", 2))
        return opens(atol(rest[0]), rest[1]);
    if (VERB("spawns", 2))
        return spawns(atol(rest[0]), rest[1]);
    if (VERB("sleep", 1))
        return sleep(atoi(rest[0]));
    fprintf(stderr, "toolbox: unknown command or too few arguments: %s\n", verb);
    return 2;
}
