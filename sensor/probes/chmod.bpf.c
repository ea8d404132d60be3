// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A file becomes executable, set-uid or set-gid. Other modes are not reported.
#include "../lib/handler.h"

static __always_inline int kw_chmod_by_path(u32 call, int ret, int dirfd, u64 path, u32 mode, u32 flags)
{
	struct kw_file_event *event;
	int slot;

	if (!(mode & S_XSETID) || kw_is_dull_error(ret))
		return 0;
	event = kw_start_by_path(&slot, KW_CHMOD, call, ret, dirfd, dirfd);
	if (!event)
		return 0;
	event->file.mode = mode;
	event->file.flags = flags;
	kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, dirfd, path);
	kw_finish(slot, &kw_file_ring);
	return 0;
}

KW_HANDLER(chmod)
{
	return kw_chmod_by_path(KW_CALL_chmod, ret, AT_FDCWD, ARG(0), ARG(1), 0);
}

KW_HANDLER(fchmodat)
{
	return kw_chmod_by_path(KW_CALL_fchmodat, ret, ARG(0), ARG(1), ARG(2), 0);
}

KW_HANDLER(fchmodat2)
{
	return kw_chmod_by_path(KW_CALL_fchmodat2, ret, ARG(0), ARG(1), ARG(2), ARG(3));
}

KW_HANDLER(fchmod)
{
	struct kw_file_event *event;
	u32 mode = ARG(1);
	int slot, fd = ARG(0);
	struct file *file;

	if (!(mode & S_XSETID))
		return 0;
	file = kw_fd_file(kw_task(), fd);
	if (!file || !kw_is_regular(BPF_CORE_READ(file, f_inode)))
		return 0;
	event = kw_start_by_path(&slot, KW_CHMOD, KW_CALL_fchmod, ret, fd, fd);
	if (!event)
		return 0;
	event->head.path_source = KW_KERNEL;
	event->head.visit = KW_NO_VISIT;
	kw_read_file(&event->file, file);
	event->file.descriptor = fd;
	kw_text_file(slot, KW_TEXT_PATH, file);
	kw_finish(slot, &kw_file_ring);
	return 0;
}
