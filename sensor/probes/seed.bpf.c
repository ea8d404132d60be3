// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The processes that are there already when the sensor is loaded, read once by a task iterator.
#include "../lib/container.h"

static __always_inline void kw_note_host(struct task_struct *first)
{
	struct super_block *sb = BPF_CORE_READ(first, fs, root.dentry, d_sb);

	kw_host.root = kw_root(first);
	kw_host.device = kw_is_overlay(sb) ? BPF_CORE_READ(sb, s_dev) : 0;
}

SEC("iter/task")
int kw_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = BPF_CORE_READ(ctx, task);
	struct kw_process process = {};
	u32 pid;

	if (!task || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	pid = BPF_CORE_READ(task, tgid);
	if (pid == 1)
		kw_note_host(task);
	if (!kw_task_id(task, process.container))
		return 0;
	process.start = BPF_CORE_READ(task, start_boottime);
	process.phase = kw_root(task) == kw_host.root ? KW_SETUP : KW_RUN;
	kw_remember(pid, &process);
	return 0;
}
