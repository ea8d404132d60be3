// SPDX-License-Identifier: Apache-2.0
// Owns the loaded sensor: open, attach, drain, count, close.
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

// A record never exceeds this: PCPU_MIN_UNIT_SIZE, plus its size field.
#define KW_LARGEST (32768 + 4)
// Rings are looked at so often: first, and when nothing has come for a moment.
#define KW_POLL_MS 20
#define KW_IDLE_POLL_MS 50

static u64 now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (u64)at.tv_sec * 1000000000 + at.tv_nsec;
}

static int keep(void *context, void *data, size_t size)
{
	struct kw_sink *sink = &((struct kw_sensor *)context)->sink;
	u32 length = size;

	memcpy(sink->at, &length, sizeof(length));
	memcpy(sink->at + sizeof(length), data, size);
	sink->at += sizeof(length) + size;
	sink->left -= sizeof(length) + size;
	// libbpf counts this record as read either way, so stop while the next one is sure to fit.
	return sink->left < KW_LARGEST ? -ENOBUFS : 0;
}

static struct ring_buffer *open_ring(struct kw_sensor *sensor, const char *name)
{
	return ring_buffer__new(bpf_object__find_map_fd_by_name(sensor->object, name), keep, sensor, NULL);
}

static int load(struct kw_sensor *sensor, const struct kw_config *config, char *error, size_t room)
{
	int failed;

	sensor->object = bpf_object__open_file(config->object, NULL);
	if (!sensor->object)
		return kw_fail(error, room, "cannot open %s: %s", config->object, strerror(errno));
	if (kw_configure(sensor, config))
		return kw_fail(error, room, "%s does not fit this loader", config->object);
	failed = bpf_object__load(sensor->object);
	if (failed)
		return kw_fail(error, room, "the kernel refused the sensor: %s", strerror(-failed));
	sensor->process_ring = open_ring(sensor, "kw_process_ring");
	sensor->file_ring = open_ring(sensor, "kw_file_ring");
	if (!sensor->process_ring || !sensor->file_ring)
		return kw_fail(error, room, "cannot map the ring buffers: %s", strerror(errno));
	return 0;
}

static struct kw_sensor *open_as(u32 way, const struct kw_config *config, char *error, size_t room)
{
	struct kw_sensor *sensor = calloc(1, sizeof(*sensor));

	kw_listen();
	if (!sensor) {
		kw_fail(error, room, "out of memory");
		return NULL;
	}
	sensor->kinds = config->kinds;
	sensor->pace_ms = config->pace_ms;
	sensor->attach = way;
	sensor->kernel = btf__load_vmlinux_btf();
	if (!sensor->kernel) {
		kw_fail(error, room, "the kernel has no BTF (/sys/kernel/btf/vmlinux): %s", strerror(errno));
	} else if (way == KW_ATTACH_FEXIT && !kw_fexit_works(sensor->kernel)) {
		kw_fail(error, room, "the kernel refused a trial fexit program: %s", strerror(errno));
	} else if (load(sensor, config, error, room) == 0) {
		// The kernel's type information and the verifier's log take several megabytes.
		btf__free(sensor->kernel);
		sensor->kernel = NULL;
		malloc_trim(0);
		return sensor;
	}
	kw_close(sensor);
	return NULL;
}

struct kw_sensor *kw_open(const struct kw_config *config, char *error, size_t room)
{
	struct kw_sensor *sensor;

	if (config->attach != KW_ATTACH_AUTO)
		return open_as(config->attach, config, error, room);
	// Some kernels take a trial program, but not every handler: 5.10's BTF lost some argument types.
	sensor = open_as(KW_ATTACH_FEXIT, config, error, room);
	return sensor ? sensor : open_as(KW_ATTACH_SYS_EXIT, config, error, room);
}

static int attach(struct kw_sensor *sensor, const char *name, char *error, size_t room)
{
	struct bpf_program *program = bpf_object__find_program_by_name(sensor->object, name);
	struct bpf_link *link;

	if (!program || !bpf_program__autoload(program))
		return 0;
	if (sensor->link_count == KW_MAX_LINKS)
		return kw_fail(error, room, "too many programs");
	link = bpf_program__attach(program);
	if (!link)
		return kw_fail(error, room, "cannot attach %s: %s", name, strerror(errno));
	sensor->links[sensor->link_count++] = link;
	return 0;
}

static int enter(struct kw_sensor *sensor, const char *table, int number, int program)
{
	int map = bpf_object__find_map_fd_by_name(sensor->object, table);
	u32 key = number;

	return number < 0 ? 0 : bpf_map_update_elem(map, &key, &program, BPF_ANY);
}

static int enter_handler(struct kw_sensor *sensor, const struct kw_call_entry *call, int compat)
{
	char name[64];
	struct bpf_program *program;
	int fd;

	snprintf(name, sizeof(name), "kw_%s%s", call->name, compat ? "_32" : "");
	program = bpf_object__find_program_by_name(sensor->object, name);
	if (!program || !bpf_program__autoload(program))
		return 0;
	fd = bpf_program__fd(program);
	if (compat)
		return enter(sensor, "kw_calls_32", call->i386, fd);
	return enter(sensor, "kw_calls", call->number, fd) || enter(sensor, "kw_calls", call->x32, fd);
}

static int attach_handler(struct kw_sensor *sensor, const struct kw_call_entry *call, int compat, char *error,
			  size_t room)
{
	char name[64];

	snprintf(name, sizeof(name), "kw_%s%s", call->name, compat ? "_32" : "");
	if (sensor->attach == KW_ATTACH_FEXIT)
		return attach(sensor, name, error, room);
	if (enter_handler(sensor, call, compat))
		return kw_fail(error, room, "cannot enter %s into its table: %s", name, strerror(errno));
	return 0;
}

// Reads all processes through the iterator: opening it runs nothing, reading to its end does.
static int seed(struct kw_sensor *sensor, char *error, size_t room)
{
	struct bpf_program *program = bpf_object__find_program_by_name(sensor->object, "kw_seed");
	struct bpf_link *link = program ? bpf_program__attach_iter(program, NULL) : NULL;
	char nothing[64];
	int fd = -1;
	ssize_t got = -1;

	if (link) {
		fd = bpf_iter_create(bpf_link__fd(link));
		while (fd >= 0 && (got = read(fd, nothing, sizeof(nothing))) > 0)
			;
	}
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return got == 0 ? 0 : kw_fail(error, room, "cannot read the running processes: %s", strerror(errno));
}

int kw_start_probes(struct kw_sensor *sensor, char *error, size_t room)
{
	static const char *const first[] = {"kw_exit", "kw_fork", "kw_cgroup_attach"};

	kw_listen();
	for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++)
		if (attach(sensor, first[i], error, room))
			return -1;
	// Whoever is born from here on is noticed; now those that were there before.
	if (seed(sensor, error, room) || attach(sensor, "kw_exec", error, room) ||
	    attach(sensor, "kw_module_load", error, room))
		return -1;
	for (size_t i = 0; i < kw_call_count; i++)
		for (int compat = 0; compat < 2; compat++)
			if (attach_handler(sensor, &kw_call_table[i], compat, error, room))
				return -1;
	return attach(sensor, "kw_dispatch", error, room);
}

u32 kw_attached(const struct kw_sensor *sensor)
{
	return sensor->attach;
}

static int consume(struct kw_sensor *sensor)
{
	int got = ring_buffer__consume(sensor->process_ring);

	if (got < 0 || sensor->sink.left < KW_LARGEST)
		return got;
	return ring_buffer__consume(sensor->file_ring);
}

// Sleeps until a ring is a quarter full or `milliseconds` are over.
static void nap(struct kw_sensor *sensor, int milliseconds)
{
	struct pollfd rings[2] = {
		{.fd = ring_buffer__epoll_fd(sensor->process_ring), .events = POLLIN},
		{.fd = ring_buffer__epoll_fd(sensor->file_ring), .events = POLLIN},
	};

	poll(rings, 2, milliseconds);
}

static void keep_pace(struct kw_sensor *sensor)
{
	u64 since = (now_ns() - sensor->drained_ns) / 1000000;

	if (since < sensor->pace_ms)
		nap(sensor, sensor->pace_ms - since);
}

ssize_t kw_drain(struct kw_sensor *sensor, u8 *out, size_t room, int timeout_ms)
{
	u64 until = now_ns() + (u64)timeout_ms * 1000000;
	int rest = KW_POLL_MS;
	int got;

	if (room < KW_LARGEST)
		return -EINVAL;
	sensor->sink = (struct kw_sink){out, room};
	keep_pace(sensor);
	for (;;) {
		got = consume(sensor);
		sensor->drained_ns = now_ns();
		if (got < 0 && got != -ENOBUFS)
			return got;
		if (sensor->sink.at != out || sensor->drained_ns >= until)
			return sensor->sink.at - out;
		nap(sensor, rest);
		rest = KW_IDLE_POLL_MS;
	}
}

static u32 program_kind(const char *name)
{
	static const struct {
		const char *name;
		u32 kind;
	} known[] = {{"kw_exec", KW_EXEC}, {"kw_fork", KW_FORK}, {"kw_exit", KW_EXIT}};
	size_t length;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(name, known[i].name))
			return known[i].kind;
	for (size_t i = 0; i < kw_call_count; i++) {
		length = strlen(kw_call_table[i].name);
		if (!strncmp(name + 3, kw_call_table[i].name, length) &&
		    (!name[3 + length] || !strcmp(name + 3 + length, "_32")))
			return kw_call_table[i].kind;
	}
	return KW_ANY;
}

static void count_recursion(struct kw_sensor *sensor, u64 *out)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, sensor->object)
	{
		struct bpf_prog_info info = {0};
		u32 size = sizeof(info);

		if (!bpf_program__autoload(program))
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			continue;
		out[program_kind(bpf_program__name(program)) * KW_LOSSES + KW_RECURSION] +=
			info.recursion_misses;
	}
}

int kw_counters(struct kw_sensor *sensor, u64 *out, size_t count)
{
	int map = bpf_object__find_map_fd_by_name(sensor->object, "kw_losses");
	int cpus = libbpf_num_possible_cpus();
	u64 *values;

	if (count < KW_KINDS * KW_LOSSES || cpus <= 0)
		return -EINVAL;
	values = calloc(cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	memset(out, 0, count * sizeof(*out));
	for (u32 key = 0; key < KW_KINDS * KW_LOSSES; key++) {
		if (bpf_map_lookup_elem(map, &key, values))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			out[key] += values[cpu];
	}
	free(values);
	count_recursion(sensor, out);
	return 0;
}

void kw_close(struct kw_sensor *sensor)
{
	if (!sensor)
		return;
	while (sensor->link_count)
		bpf_link__destroy(sensor->links[--sensor->link_count]);
	ring_buffer__free(sensor->process_ring);
	ring_buffer__free(sensor->file_ring);
	bpf_object__close(sensor->object);
	btf__free(sensor->kernel);
	free(sensor);
}
