// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What every system call handler shares: how it is defined, and who may pass.
#pragma once

#include "emit.h"

// One handler, for the 64-bit and the 32-bit gate. Both ways to attach hand over the same two
// things, (registers, return value): `tp_btf/sys_exit` by a tail call from the dispatcher, and
// `fexit/__x64_sys_NAME`, which the loader makes of the same program before load.
#define KW_HANDLER(name)                                                                               \
	static __always_inline int kw_on_##name(struct pt_regs *, int, const int);                     \
	SEC("tp_btf/sys_exit") int kw_##name(u64 *ctx)                                                 \
	{                                                                                              \
		return kw_on_##name((struct pt_regs *)ctx[0], ctx[1], 0);                              \
	}                                                                                              \
	SEC("tp_btf/sys_exit") int kw_##name##_32(u64 *ctx)                                            \
	{                                                                                              \
		return kw_on_##name((struct pt_regs *)ctx[0], ctx[1], 1);                              \
	}                                                                                              \
	static __always_inline int kw_on_##name(struct pt_regs *regs __attribute__((unused)), int ret, \
						const int compat __attribute__((unused)))

#define ARG(n) kw_arg(regs, n, compat)

// Host processes are turned away here: the process map has only those that are to be reported.
static __always_inline int kw_is_reported(struct kw_process *actor)
{
	return actor || kw_knobs.host;
}

static __always_inline struct super_block *kw_container_super(struct super_block *sb)
{
	return kw_is_container_overlay(sb) ? sb : 0;
}

static __always_inline struct super_block *kw_directory_super(struct task_struct *task, int dirfd)
{
	struct file *file;

	if (dirfd == AT_FDCWD)
		return kw_container_super(BPF_CORE_READ(task, fs, pwd.dentry, d_sb));
	file = kw_fd_file(task, dirfd);
	return file ? kw_container_super(BPF_CORE_READ(file, f_inode, i_sb)) : 0;
}

struct kw_visited {
	struct super_block *sb;
	u32 visit;
};

// The container's file system that a host process works in: as its root, or by a directory it may
// start from. A call by absolute path from outside leaves no object to look at. The string is not
// looked at here; decode/sensor.py drops those that turn out to name something by another way.
static __always_inline struct kw_visited kw_visit(int dirfd, int other)
{
	struct task_struct *task = kw_task();
	struct kw_visited at = {.visit = KW_VISIT_ROOT};

	at.sb = kw_container_super(BPF_CORE_READ(task, fs, root.dentry, d_sb));
	if (at.sb)
		return at;
	at.visit = KW_VISIT_DIRECTORY;
	at.sb = kw_directory_super(task, dirfd);
	if (!at.sb && other != dirfd)
		at.sb = kw_directory_super(task, other);
	return at;
}

// Calls by path (rename, link, chmod, unlink) that start from up to two directories. Their draft is
// begun, their texts follow.
static __always_inline struct kw_file_event *kw_start_by_path(int *slot, u32 kind, u32 call, int ret,
							      int dirfd, int other)
{
	struct kw_process *actor = kw_current();
	struct kw_visited visited = {};
	struct super_block *sb;
	struct kw_file_event *event;

	if (!actor)
		visited = kw_visit(dirfd, other);
	sb = visited.sb;
	if (!kw_is_reported(actor) && !sb)
		return 0;
	*slot = kw_claim(kind);
	if (*slot < 0)
		return 0;
	event = kw_start(*slot, sizeof(*event), kind, call, ret, actor);
	if (!event)
		return 0;
	event->head.path_source = KW_USER;
	event->file.descriptor = -1;
	if (sb) {
		event->head.visit = kw_knobs.host ? KW_NO_VISIT : visited.visit;
		event->file.overlay = 1;
		event->file.device = kw_encode_device(BPF_CORE_READ(sb, s_dev));
	}
	return event;
}

static __always_inline void kw_finish(u32 slot, void *ring)
{
	kw_send(slot, ring);
	kw_release(slot);
}

// Those with two paths, of which the second is what there is afterwards.
static __always_inline int kw_emit_two_paths(u32 kind, u32 call, int ret, int old_dir, u64 old, int dir,
					     u64 new, u32 flags)
{
	struct kw_file_event *event;
	int slot;

	event = kw_start_by_path(&slot, kind, call, ret, dir, old_dir);
	if (!event)
		return 0;
	event->head.old_path_source = KW_USER;
	event->file.flags = flags;
	kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, dir, new);
	kw_text_user_path(slot, KW_TEXT_OLD_PATH, KW_TEXT_OLD_BASE, old_dir, old);
	kw_finish(slot, &kw_file_ring);
	return 0;
}

// Calls of the process ring.
static __always_inline struct kw_call_event *kw_start_call(int *slot, u32 kind, u32 call, int ret)
{
	struct kw_process *actor = kw_current();
	struct kw_call_event *event;

	if (!kw_is_reported(actor))
		return 0;
	*slot = kw_claim(kind);
	if (*slot < 0)
		return 0;
	event = kw_start(*slot, sizeof(*event), kind, call, ret, actor);
	if (event)
		event->file.descriptor = -1;
	return event;
}

// Failures that say no more than "there is nothing" or "try again".
static __always_inline int kw_is_dull_error(int ret)
{
	return ret == -ENOENT || ret == -ENOTDIR || ret == -EINTR || ret == -EAGAIN;
}
