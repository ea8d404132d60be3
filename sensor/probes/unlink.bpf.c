// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A file's name is removed. Directories are not reported.
#include "../lib/handler.h"

static __always_inline int kw_unlinked(u32 call, int ret, int dirfd, u64 path, u32 flags)
{
	struct kw_file_event *event;
	int slot;

	if (kw_is_dull_error(ret) || ret == -EISDIR || (flags & AT_REMOVEDIR))
		return 0;
	event = kw_start_by_path(&slot, KW_UNLINK, call, ret, dirfd, dirfd);
	if (!event)
		return 0;
	event->file.flags = flags;
	kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, dirfd, path);
	kw_finish(slot, &kw_file_ring);
	return 0;
}

KW_HANDLER(unlink)
{
	return kw_unlinked(KW_CALL_unlink, ret, AT_FDCWD, ARG(0), 0);
}

KW_HANDLER(unlinkat)
{
	return kw_unlinked(KW_CALL_unlinkat, ret, ARG(0), ARG(1), ARG(2));
}
