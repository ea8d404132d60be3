// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Second layer: whose process this is.
//
// A process belongs to a container from the moment it is moved (or born) into a cgroup that lies
// in the container's, and so do its descendants, wherever they go: no entry is ever moved to another
// container, only removed when the process ends. The container's cgroup is the outermost one on the
// way up whose name ends in 64 hex digits, alone or behind a runtime's prefix ("cri-containerd-",
// "docker-", "crio-", "libpod-", "…:cri-containerd:"), with or without ".scope"; "…conmon-" is the
// runtime's monitor beside the container.
//
// Phase: a process that comes from the host is the runtime at work ("setup"), and so are its
// children, until one executes a program with another root directory than the runtime's: its
// parent's, when it came. That is the entrypoint (or the command of an exec into the container):
// runtimes enter the root file system before, and re-execute themselves only before that. (The
// arriving process's own root would not do: for an exec, runc enters the root first, then the
// cgroup.) Descendants of a process in phase "run" are in phase "run".
#pragma once

#include "read.h"

#define KW_ID_DIGITS 64
#define KW_CGROUP_DEPTH 24
#define KW_SUBSYSTEMS 16

// Values of hexadecimal digits plus one, 0 for other characters. A table, because every comparison
// is another two ways for the verifier to walk, times 64.
static const u8 kw_digits[256] = {
	['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static __always_inline int kw_parse_digits(const char *digits, u8 *id)
{
	u32 wrong = 0;

	for (int i = 0; i < KW_ID_DIGITS / 2; i++) {
		u32 high = kw_digits[(u8)digits[2 * i]] - 1, low = kw_digits[(u8)digits[2 * i + 1]] - 1;

		wrong |= high | low;
		id[i] = high << 4 | low;
	}
	return wrong <= 0xf;
}

static __always_inline int kw_bad_prefix(const char *name, u32 start)
{
	char before[7] = {};

	if (start == 0)
		return 0;
	if (start >= sizeof(before)) {
		bpf_probe_read_kernel(before, sizeof(before), name + start - sizeof(before));
		if (before[0] == 'c' && before[1] == 'o' && before[2] == 'n' && before[3] == 'm')
			return 1;
	} else {
		bpf_probe_read_kernel(&before[6], 1, name + start - 1);
	}
	return before[6] != '-' && before[6] != ':';
}

// The address of the container id's digits in a cgroup's name, or 0. (Frames are kept small: until
// kernel 6.13 all frames of a call chain have 512 bytes together.)
__noinline u64 kw_find_digits(u64 node)
{
	const char *name = BPF_CORE_READ((struct kernfs_node *)node, name);
	char text[160], tail[6];
	u8 id[KW_ID_DIGITS / 2];
	long length = bpf_probe_read_kernel_str(text, sizeof(text), name) - 1;

	if (length < KW_ID_DIGITS || length >= (long)sizeof(text) - 1)
		return 0;
	bpf_probe_read_kernel(tail, sizeof(tail), name + length - sizeof(tail));
	if (tail[0] == '.' && tail[1] == 's' && tail[2] == 'c' && tail[5] == 'e')
		length -= sizeof(tail);
	if (length < KW_ID_DIGITS || kw_bad_prefix(name, length - KW_ID_DIGITS))
		return 0;
	bpf_probe_read_kernel(text, KW_ID_DIGITS, name + length - KW_ID_DIGITS);
	return kw_parse_digits(text, id) ? (u64)name + length - KW_ID_DIGITS : 0;
}

static __always_inline struct kernfs_node *kw_kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___v58 *old = (void *)node;

	if (bpf_core_field_exists(old->parent))
		return BPF_CORE_READ(old, parent);
	return BPF_CORE_READ(node, __parent);
}

// The digits of the outermost container from this cgroup's node upwards, or 0.
__noinline u64 kw_outermost(u64 address)
{
	struct kernfs_node *node = (void *)address;
	u64 outermost = 0;

	for (int i = 0; i < KW_CGROUP_DEPTH && node; i++) {
		u64 digits = kw_find_digits((u64)node);

		if (digits)
			outermost = digits;
		node = kw_kernfs_parent(node);
	}
	return outermost;
}

static __always_inline int kw_read_id(u64 address, u8 *id)
{
	char digits[KW_ID_DIGITS];

	return address && !bpf_probe_read_kernel(digits, sizeof(digits), (void *)address) &&
	       kw_parse_digits(digits, id);
}

static __always_inline int kw_cgroup_id(struct cgroup *cgroup, u8 *id)
{
	return kw_read_id(kw_outermost((u64)BPF_CORE_READ(cgroup, kn)), id);
}

// By the v2 tree, and where that says nothing by the v1 hierarchies.
static __always_inline int kw_task_id(struct task_struct *task, u8 *id)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	u32 count = bpf_core_field_size(set->subsys) / sizeof(void *);
	u64 digits = kw_outermost((u64)BPF_CORE_READ(set, dfl_cgrp, kn));

	for (u32 i = 0; i < KW_SUBSYSTEMS && i < count && !digits; i++) {
		struct cgroup_subsys_state *state = 0;

		bpf_probe_read_kernel(&state, sizeof(state), &set->subsys[i]);
		if (state)
			digits = kw_outermost((u64)BPF_CORE_READ(state, cgroup, kn));
	}
	return kw_read_id(digits, id);
}

static __always_inline struct kw_process *kw_process(u32 pid)
{
	return bpf_map_lookup_elem(&kw_processes, &pid);
}

static __always_inline struct kw_process *kw_current(void)
{
	return kw_process(bpf_get_current_pid_tgid() >> 32);
}

static __always_inline void kw_remember(u32 pid, struct kw_process *process)
{
	// -EEXIST: it is known already, and stays where it came from.
	long error = bpf_map_update_elem(&kw_processes, &pid, process, BPF_NOEXIST);

	if (error && error != -EEXIST)
		kw_lose(KW_FORK, KW_MAP_FULL);
}

static __always_inline u64 kw_root(struct task_struct *task)
{
	return (u64)BPF_CORE_READ(task, fs, root.dentry);
}

static __always_inline u64 kw_parent_root(struct task_struct *task)
{
	return kw_root(BPF_CORE_READ(task, real_parent));
}
