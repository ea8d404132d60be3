// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A process is moved into a cgroup: if that is a container's, it becomes the container's. Every
// hierarchy, v1 or v2, comes by here, so the first that knows the container decides.
#include "../lib/container.h"

SEC("tp_btf/cgroup_attach_task")
int kw_cgroup_attach(u64 *ctx)
{
	struct cgroup *cgroup = (struct cgroup *)ctx[0];
	struct task_struct *task = (struct task_struct *)ctx[2];
	struct kw_process process = {};
	u32 pid = BPF_CORE_READ(task, tgid);

	if (kw_process(pid) || !kw_cgroup_id(cgroup, process.container))
		return 0;
	process.start = BPF_CORE_READ(task, group_leader, start_boottime);
	process.phase = KW_SETUP;
	process.root = kw_parent_root(task);
	kw_remember(pid, &process);
	return 0;
}
