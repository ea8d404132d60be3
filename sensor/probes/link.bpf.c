// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A second name (path) for an existing file (old path).
#include "../lib/handler.h"

static __always_inline int kw_linked(u32 call, int ret, int old_dir, u64 old, int dir, u64 new, u32 flags)
{
	if (kw_is_dull_error(ret) || ret == -EEXIST)
		return 0;
	return kw_emit_two_paths(KW_LINK, call, ret, old_dir, old, dir, new, flags);
}

KW_HANDLER(link)
{
	return kw_linked(KW_CALL_link, ret, AT_FDCWD, ARG(0), AT_FDCWD, ARG(1), 0);
}

KW_HANDLER(linkat)
{
	return kw_linked(KW_CALL_linkat, ret, ARG(0), ARG(1), ARG(2), ARG(3), ARG(4));
}
