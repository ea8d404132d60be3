// SPDX-License-Identifier: Apache-2.0
// The C ABI that capture/ring.py calls through ctypes.
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "../events.h"

enum kw_attach {
	KW_ATTACH_AUTO,	    // fexit where the kernel allows it, else sys_exit
	KW_ATTACH_SYS_EXIT, // one tracepoint program and a table by system call number
	KW_ATTACH_FEXIT,    // one program per system call
};

#define KW_ENV_TEXT 24

struct kw_config {
	const char *object; // path of keelwatch-sensor.bpf.o
	u32 kinds;	    // bit n: kind n is wanted
	u32 host;
	u32 process_ring; // bytes, a power of two
	u32 file_ring;
	u32 processes; // entries of the process map
	u32 attach;    // enum kw_attach
	u32 pace_ms;   // at most one drain in this time, unless a ring fills up
	u32 environment;
	char names[KW_ENV_NAMES][KW_ENV_TEXT]; // of environment variables, without '='
};

struct kw_sensor;

// Loads and verifies the programs. NULL: `error` says why (what, and the kernel's own words).
struct kw_sensor *kw_open(const struct kw_config *config, char *error, size_t room);
// From here on events are recorded. 0, or -1 with `error`.
int kw_start_probes(struct kw_sensor *sensor, char *error, size_t room);
// enum kw_attach as it was chosen.
u32 kw_attached(const struct kw_sensor *sensor);
// Fills `out` with [u32 size][record] of both rings, waiting at most `timeout_ms` for the first.
// Returns bytes, or -errno.
ssize_t kw_drain(struct kw_sensor *sensor, u8 *out, size_t room, int timeout_ms);
// KW_KINDS * KW_LOSSES totals since load, kind by kind.
int kw_counters(struct kw_sensor *sensor, u64 *out, size_t count);
void kw_close(struct kw_sensor *sensor);
