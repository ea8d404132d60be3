// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The last thread of a process ends.
#include "../lib/emit.h"

static __always_inline int kw_exit_code(struct task_struct *task)
{
	int group = BPF_CORE_READ(task, signal, group_exit_code);

	return group ? group : BPF_CORE_READ(task, exit_code);
}

static __always_inline void kw_emit_exit(struct task_struct *task, struct kw_process *actor)
{
	struct kw_exit_event *event;
	int slot = kw_claim(KW_EXIT);

	if (slot < 0)
		return;
	event = kw_start(slot, sizeof(*event), KW_EXIT, KW_CALL_exit, 0, actor);
	if (event) {
		event->exit_code = kw_exit_code(task);
		kw_send(slot, &kw_process_ring);
	}
	kw_release(slot);
}

SEC("tp_btf/sched_process_exit")
int kw_exit(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct kw_process copy = {}, *actor;
	u32 pid = BPF_CORE_READ(task, tgid);

	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	actor = kw_process(pid);
	if (!actor && !kw_knobs.host)
		return 0;
	if (actor) {
		copy = *actor;
		// Two threads that end at once both see nobody left: the one that removes the entry reports.
		if (bpf_map_delete_elem(&kw_processes, &pid))
			return 0;
	}
	if (kw_is_on(KW_EXIT))
		kw_emit_exit(task, actor ? &copy : 0);
	return 0;
}
