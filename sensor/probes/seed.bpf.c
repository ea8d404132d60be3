// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The processes that are there already when the sensor is loaded, read once by a task iterator.
#include "../lib/container.h"

#define KW_ANCESTORS 32

static __always_inline void kw_note_host(struct task_struct *first)
{
	struct super_block *sb = BPF_CORE_READ(first, fs, root.dentry, d_sb);

	kw_host.device = kw_is_overlay(sb) ? BPF_CORE_READ(sb, s_dev) : 0;
}

// The runtime's root: that of the nearest ancestor which has another one than the task. There is
// none while the runtime has not entered the container's root yet.
static __always_inline u64 kw_runtime_root(struct task_struct *task)
{
	u64 root = kw_root(task), above = root;

	for (int i = 0; i < KW_ANCESTORS && above == root; i++) {
		task = BPF_CORE_READ(task, real_parent);
		above = kw_root(task);
		if (BPF_CORE_READ(task, pid) <= 1)
			break;
	}
	return above;
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
	process.root = kw_runtime_root(task);
	process.phase = process.root == kw_root(task) ? KW_SETUP : KW_RUN;
	kw_remember(pid, &process);
	return 0;
}
