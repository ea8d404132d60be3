// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A process makes itself new namespaces. (A child born in new ones is told by its fork event.)
#include "../lib/handler.h"

KW_HANDLER(unshare)
{
	struct kw_call_event *event;
	u32 flags = ARG(0);
	int slot;

	if (!(flags & CLONE_NEW_ANY))
		return 0;
	event = kw_start_call(&slot, KW_UNSHARE, KW_CALL_unshare, ret);
	if (!event)
		return 0;
	event->file.flags = flags & CLONE_NEW_ANY;
	kw_finish(slot, &kw_process_ring);
	return 0;
}
