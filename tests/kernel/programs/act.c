/* Makes one system call by number, so that a test reaches exactly the probe it is about.
 *
 *   act call NUMBER ARG...                through the 64-bit gate
 *   act int80 NUMBER ARG...               through the 32-bit gate, from this 64-bit program
 *   act x ptrace|writev|clone|pidfd       what needs two processes
 *
 * ARG is a number (0x…, octal, negative), s:TEXT for a pointer to TEXT, h:MODE,FLAGS for an
 * open_how, o:PATH for a descriptor of PATH opened for reading, w:PATH for one opened for writing,
 * n:PATH for one opened with O_PATH. Prints the result, or the negative errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char *room; /* below 4 GB, so that the 32-bit gate can point into it */

static long keep(const void *data, size_t size)
{
	char *at = room;

	memcpy(at, data, size);
	room += (size + 16) & ~15ul;
	return (long)at;
}

static long opened(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0) {
		perror(path);
		exit(99);
	}
	return fd;
}

static long argument(const char *text)
{
	uint64_t how[3] = {0};
	char *rest;

	if (text[0] && text[1] == ':') {
		switch (text[0]) {
		case 's':
			return keep(text + 2, strlen(text + 2) + 1);
		case 'o':
			return opened(text + 2, O_RDONLY);
		case 'w':
			return opened(text + 2, O_WRONLY | O_CREAT);
		case 'n':
			return opened(text + 2, O_PATH);
		case 'h':
			how[1] = strtoul(text + 2, &rest, 0);
			how[0] = strtoul(rest + 1, NULL, 0);
			return keep(how, sizeof(how));
		}
	}
	return strtol(text, NULL, 0);
}

static long int80(long number, const long *a)
{
	long result;
	register long b __asm__("rbx") = a[0];

	__asm__ volatile("int $0x80"
			 : "=a"(result), "+r"(b)
			 : "a"(number), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static int call(int gate, int count, char **texts)
{
	long a[6] = {0}, number = strtol(texts[0], NULL, 0), result;

	for (int i = 1; i < count && i <= 6; i++)
		a[i - 1] = argument(texts[i]);
	if (gate) {
		result = int80(number, a);
	} else {
		result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
		result = result < 0 ? -errno : result;
	}
	printf("%ld\n", result);
	return 0;
}

static int trace(void)
{
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	printf("%ld\n", ptrace(PTRACE_ATTACH, child, 0, 0));
	waitpid(child, NULL, 0);
	ptrace(PTRACE_POKEDATA, child, &room, 0);
	kill(child, SIGKILL);
	return 0;
}

static int write_other(void)
{
	char word[8] = "written";
	struct iovec local = {word, sizeof(word)}, remote = {word, sizeof(word)};
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	printf("%ld\n", process_vm_writev(child, &local, 1, &remote, 1, 0));
	kill(child, SIGKILL);
	return 0;
}

static int born_apart(void)
{
	long child = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);

	if (child == 0)
		_exit(7);
	printf("%ld\n", child);
	return 0;
}

static int enter_by_pidfd(void)
{
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	printf("%d\n", setns(syscall(SYS_pidfd_open, child, 0), CLONE_NEWUTS));
	kill(child, SIGKILL);
	return 0;
}

int main(int argc, char **argv)
{
	room = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (argc < 3 || room == MAP_FAILED)
		return 2;
	if (!strcmp(argv[1], "call"))
		return call(0, argc - 2, argv + 2);
	if (!strcmp(argv[1], "int80"))
		return call(1, argc - 2, argv + 2);
	if (!strcmp(argv[2], "ptrace"))
		return trace();
	if (!strcmp(argv[2], "writev"))
		return write_other();
	if (!strcmp(argv[2], "pidfd"))
		return enter_by_pidfd();
	return born_apart();
}
