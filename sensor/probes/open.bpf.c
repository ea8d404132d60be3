// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A regular file is opened for writing, or created; or an attempt to is refused.
#include "../lib/handler.h"

// By the flags in a register: the caller cannot open for writing without them, so that an open for
// reading costs only this. (Access mode 3 opens for neither, but is let through to the file's mode.)
static __always_inline int kw_may_write(u64 flags)
{
	return flags & (O_ACCMODE | O_CREAT | O_TRUNC);
}

static __always_inline int kw_is_dull_open(int ret)
{
	return kw_is_dull_error(ret) || ret == -EEXIST || ret == -EISDIR;
}

static __always_inline int kw_emit_opened(u32 call, int fd, u64 flags)
{
	struct kw_process *actor = kw_current();
	struct file *file;
	struct inode *inode;
	u32 mode;
	struct kw_file_event *event;
	int slot;

	file = kw_fd_file(kw_task(), fd);
	inode = BPF_CORE_READ(file, f_inode);
	if (!kw_is_reported(actor) && !kw_is_container_overlay(BPF_CORE_READ(inode, i_sb)))
		return 0;
	mode = BPF_CORE_READ(file, f_mode);
	if (!(mode & (FMODE_WRITE | FMODE_CREATED)) || !kw_is_regular(inode))
		return 0;
	slot = kw_claim(KW_OPEN);
	if (slot < 0)
		return 0;
	event = kw_start(slot, sizeof(*event), KW_OPEN, call, fd, actor);
	if (event) {
		event->head.path_source = KW_KERNEL;
		kw_read_file(&event->file, file);
		event->file.descriptor = fd;
		event->file.flags = flags | BPF_CORE_READ(file, f_flags);
		event->file.created = !!(mode & FMODE_CREATED);
		kw_text_file(slot, KW_TEXT_PATH, file);
		kw_send(slot, &kw_file_ring);
	}
	kw_release(slot);
	return 0;
}

static __always_inline int kw_emit_refused(u32 call, int ret, int dirfd, u64 path, u64 flags)
{
	struct kw_process *actor = kw_current();
	struct kw_file_event *event;
	int slot;

	if (!kw_is_reported(actor) || kw_is_dull_open(ret))
		return 0;
	slot = kw_claim(KW_OPEN);
	if (slot < 0)
		return 0;
	event = kw_start(slot, sizeof(*event), KW_OPEN, call, ret, actor);
	if (event) {
		event->head.path_source = KW_USER;
		event->file.descriptor = -1;
		event->file.flags = flags;
		if (path)
			kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, dirfd, path);
		kw_send(slot, &kw_file_ring);
	}
	kw_release(slot);
	return 0;
}

static __always_inline int kw_opened(u32 call, int ret, int dirfd, u64 path, u64 flags)
{
	if (ret >= 0)
		return kw_emit_opened(call, ret, flags);
	return kw_emit_refused(call, ret, dirfd, path, flags);
}

KW_HANDLER(open)
{
	if (!kw_may_write(ARG(1)))
		return 0;
	return kw_opened(KW_CALL_open, ret, AT_FDCWD, ARG(0), ARG(1));
}

KW_HANDLER(creat)
{
	return kw_opened(KW_CALL_creat, ret, AT_FDCWD, ARG(0), O_CREAT | O_WRONLY | O_TRUNC);
}

KW_HANDLER(openat)
{
	if (!kw_may_write(ARG(2)))
		return 0;
	return kw_opened(KW_CALL_openat, ret, ARG(0), ARG(1), ARG(2));
}

// The flags lie in user memory, so the file's own mode decides. Those of a refused call are only told.
KW_HANDLER(openat2)
{
	u64 flags = 0;

	if (ret >= 0)
		return kw_emit_opened(KW_CALL_openat2, ret, 0);
	bpf_probe_read_user(&flags, sizeof(flags), (void *)ARG(2));
	return kw_emit_refused(KW_CALL_openat2, ret, ARG(0), ARG(1), flags);
}

KW_HANDLER(open_by_handle_at)
{
	if (!kw_may_write(ARG(2)))
		return 0;
	return kw_opened(KW_CALL_open_by_handle_at, ret, AT_FDCWD, 0, ARG(2));
}
