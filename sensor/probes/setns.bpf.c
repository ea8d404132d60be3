// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A process enters a namespace, by a namespace's descriptor or by a process's.
#include "../lib/handler.h"

static __always_inline u32 kw_namespace_type(struct ns_common *space)
{
	struct ns_common___v618 *new = (void *)space;

	if (bpf_core_field_exists(new->ns_type))
		return BPF_CORE_READ(new, ns_type);
	return BPF_CORE_READ(space, ops, type);
}

static __always_inline u32 kw_pidfd_pid(struct file *file, u64 magic)
{
	struct pid *pid;

	if (magic == PID_FS_MAGIC)
		pid = BPF_CORE_READ(file, f_inode, i_private);
	else
		pid = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(pid, numbers[0].nr);
}

// setns(2) takes a pidfd only with the kinds of namespaces given.
static __always_inline void kw_put_namespace(struct kw_call_event *event, struct file *file)
{
	u64 magic = BPF_CORE_READ(file, f_inode, i_sb, s_magic);

	if (magic == NSFS_MAGIC) {
		event->file.inode = BPF_CORE_READ(file, f_inode, i_ino);
		event->file.flags = kw_namespace_type(BPF_CORE_READ(file, f_inode, i_private));
		event->head.path_source = KW_KERNEL;
	} else if (magic == PID_FS_MAGIC || (magic == ANON_INODE_FS_MAGIC && event->file.flags)) {
		event->target_pid = kw_pidfd_pid(file, magic);
	}
}

KW_HANDLER(setns)
{
	struct kw_call_event *event;
	struct file *file;
	int slot, fd = ARG(0);

	event = kw_start_call(&slot, KW_SETNS, KW_CALL_setns, ret);
	if (!event)
		return 0;
	event->file.descriptor = fd;
	event->file.flags = ARG(1);
	file = kw_fd_file(kw_task(), fd);
	if (file)
		kw_put_namespace(event, file);
	kw_finish(slot, &kw_process_ring);
	return 0;
}
