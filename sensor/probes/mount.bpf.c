// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Something is mounted, moved, or made the root. The calls leave no descriptor behind, so the
// paths are the caller's.
#include "../lib/handler.h"

#define MS_MGC_MSK 0xffff0000
#define MS_MGC_VAL 0xC0ED0000

KW_HANDLER(mount)
{
	struct kw_call_event *event;
	u32 flags = ARG(3);
	int slot;

	event = kw_start_call(&slot, KW_MOUNT, KW_CALL_mount, ret);
	if (!event)
		return 0;
	event->head.path_source = KW_USER;
	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~MS_MGC_MSK;
	event->file.flags = flags;
	kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, AT_FDCWD, ARG(1));
	if (ARG(0))
		kw_text_string(slot, KW_TEXT_SOURCE, ARG(0), 0);
	if (ARG(2))
		kw_text_string(slot, KW_TEXT_FILESYSTEM, ARG(2), 0);
	kw_finish(slot, &kw_process_ring);
	return 0;
}

KW_HANDLER(move_mount)
{
	struct kw_call_event *event;
	int slot;

	event = kw_start_call(&slot, KW_MOUNT, KW_CALL_move_mount, ret);
	if (!event)
		return 0;
	event->head.path_source = KW_USER;
	event->file.flags = ARG(4);
	kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, ARG(2), ARG(3));
	if (ARG(1))
		kw_text_string(slot, KW_TEXT_SOURCE, ARG(1), 0);
	kw_finish(slot, &kw_process_ring);
	return 0;
}

KW_HANDLER(pivot_root)
{
	struct kw_call_event *event;
	int slot;

	event = kw_start_call(&slot, KW_MOUNT, KW_CALL_pivot_root, ret);
	if (!event)
		return 0;
	event->head.path_source = KW_USER;
	kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, AT_FDCWD, ARG(0));
	kw_finish(slot, &kw_process_ring);
	return 0;
}
