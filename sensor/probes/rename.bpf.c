// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// old path -> path.
#include "../lib/handler.h"

static __always_inline int kw_renamed(u32 call, int ret, int old_dir, u64 old, int dir, u64 new, u32 flags)
{
	if (kw_is_dull_error(ret))
		return 0;
	return kw_emit_two_paths(KW_RENAME, call, ret, old_dir, old, dir, new, flags);
}

KW_HANDLER(rename)
{
	return kw_renamed(KW_CALL_rename, ret, AT_FDCWD, ARG(0), AT_FDCWD, ARG(1), 0);
}

KW_HANDLER(renameat)
{
	return kw_renamed(KW_CALL_renameat, ret, ARG(0), ARG(1), ARG(2), ARG(3), 0);
}

KW_HANDLER(renameat2)
{
	return kw_renamed(KW_CALL_renameat2, ret, ARG(0), ARG(1), ARG(2), ARG(3), ARG(4));
}
