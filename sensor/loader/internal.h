// SPDX-License-Identifier: Apache-2.0
// Shared by the loader's files.
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "loader.h"

#define KW_MAX_LINKS 128

struct kw_sink {
	u8 *at;
	size_t left;
};

struct kw_sensor {
	struct bpf_object *object;
	struct btf *kernel;
	struct bpf_link *links[KW_MAX_LINKS];
	int link_count;
	struct ring_buffer *process_ring;
	struct ring_buffer *file_ring;
	struct kw_sink sink;
	u32 attach;
	u32 kinds;
	u32 pace_ms;
	u64 drained_ns;
};

struct kw_call_entry {
	const char *name;
	u32 kind;
	int number, x32, i386;
};

extern const struct kw_call_entry kw_call_table[];
extern const size_t kw_call_count;

// diagnose.c: errors with the kernel's own words.
void kw_listen(void);
int kw_fail(char *error, size_t room, const char *format, ...) __attribute__((format(printf, 3, 4)));

// configure.c: everything before the verifier sees the programs.
int kw_fexit_works(struct btf *kernel);
int kw_configure(struct kw_sensor *sensor, const struct kw_config *config);
const char *kw_fexit_target(struct btf *kernel, const char *name, int compat, char *out, size_t room);

static inline int kw_wanted(u32 kinds, u32 kind)
{
	return kinds >> kind & 1;
}
