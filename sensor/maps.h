// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Shared maps, knobs and loss counters.
#pragma once

#include "kernel.h"

// Set by the loader before load; the verifier removes what a knob switches off.
const volatile struct kw_knobs kw_knobs SEC(".rodata.knobs") = {};

static __always_inline int kw_is_on(u32 kind)
{
	return kw_knobs.kinds >> kind & 1;
}

// What a process with an entry here did is reported; a process without one is the host's.
struct kw_process {
	u8 container[32]; // zeros: a child of a kernel usermode helper
	u64 start;
	u64 root; // the root directory's dentry of the runtime that brought it
	u32 phase;
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); // thread group
	__type(value, struct kw_process);
} kw_processes SEC(".maps");

// Process and namespace events have a ring of their own, so that a flood of file events cannot push
// them out. The loader sets both sizes.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} kw_process_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} kw_file_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KW_KINDS *KW_LOSSES);
	__type(key, u32);
	__type(value, u64);
} kw_losses SEC(".maps");

#define KW_PATH_MAX 4096
#define KW_ARGV_MAX 16384
#define KW_ENV_VALUE 1024
#define KW_NAME_MAX 255
// A per-CPU map's value may have 32768 bytes: PCPU_MIN_UNIT_SIZE.
#define KW_RECORD (32768 - 16)

// How many records can be in the making on one CPU at once.
#define KW_DRAFTS 4

// A record grows here before it goes to its ring in one piece.
struct kw_draft {
	u64 end; // bytes used
	u64 reserved;
	u8 bytes[KW_RECORD];
};

struct kw_work {
	u64 busy;
	// A path is built from its end to its beginning: `at` is where it begins so far.
	u64 at;
	struct path root;
	struct path place;
	// An environment is read variable by variable.
	u64 variable;
	u64 fresh;
	u8 path[KW_PATH_MAX + KW_NAME_MAX + 1];
	u8 value[KW_ENV_VALUE];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KW_DRAFTS);
	__type(key, u32);
	__type(value, struct kw_draft);
} kw_drafts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KW_DRAFTS);
	__type(key, u32);
	__type(value, struct kw_work);
} kw_works SEC(".maps");

// Handlers by system call number: for the 64-bit and x32 gate, and for the 32-bit gate.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KW_NUMBERS);
	__type(key, u32);
	__type(value, u32);
} kw_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, KW_NUMBERS);
	__type(key, u32);
	__type(value, u32);
} kw_calls_32 SEC(".maps");

struct kw_module_name {
	char name[56];
};

// The name the kernel gave a module, between its loading and the end of the call that loaded it.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32); // thread
	__type(value, struct kw_module_name);
} kw_modules SEC(".maps");

// Found when the machine's processes are read at load.
struct kw_host {
	u64 device; // of the first process's root, when that is an overlay itself
};
struct kw_host kw_host;

// What the verifier knows about a number it has to know from the comparison behind this.
#define KW_BOUND(x) asm volatile("" : "+r"(x))

static __always_inline void kw_lose(u32 kind, u32 loss)
{
	u32 key = kind * KW_LOSSES + loss;
	u64 *count = bpf_map_lookup_elem(&kw_losses, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
}
