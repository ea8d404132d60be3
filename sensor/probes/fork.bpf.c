// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A new process inherits its container; a host's child may be born in a container's cgroup.
#include "../lib/emit.h"

static __always_inline u32 kw_fork_call(struct task_struct *task)
{
	struct pt_regs *regs;

	if (!bpf_core_enum_value_exists(enum bpf_func_id___known, BPF_FUNC_task_pt_regs___known))
		return KW_CALL_clone;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	switch (BPF_CORE_READ(regs, orig_ax)) {
	case KW_NR_FORK:
		return KW_CALL_fork;
	case KW_NR_VFORK:
		return KW_CALL_vfork;
	case KW_NR_CLONE3:
		return KW_CALL_clone3;
	default:
		return KW_CALL_clone;
	}
}

#define KW_DIFFERS(field, flag) (BPF_CORE_READ(one, field) != BPF_CORE_READ(other, field) ? (flag) : 0)

// clone(2)'s CLONE_NEW* flags, seen from what it left behind: clone3 has them in user memory.
static __always_inline u32 kw_new_namespaces(struct task_struct *parent, struct task_struct *child)
{
	struct nsproxy *one = BPF_CORE_READ(parent, nsproxy), *other = BPF_CORE_READ(child, nsproxy);
	u32 flags = 0;

	if (BPF_CORE_READ(parent, cred, user_ns) != BPF_CORE_READ(child, cred, user_ns))
		flags |= CLONE_NEWUSER;
	if (one == other)
		return flags;
	flags |= KW_DIFFERS(mnt_ns, CLONE_NEWNS) | KW_DIFFERS(net_ns, CLONE_NEWNET);
	flags |= KW_DIFFERS(uts_ns, CLONE_NEWUTS) | KW_DIFFERS(ipc_ns, CLONE_NEWIPC);
	flags |= KW_DIFFERS(pid_ns_for_children, CLONE_NEWPID);
	flags |= KW_DIFFERS(cgroup_ns, CLONE_NEWCGROUP);
	return flags;
}

static __always_inline void kw_emit_fork(struct task_struct *parent, struct task_struct *child,
					 struct kw_process *actor)
{
	struct kw_fork_event *event;
	int slot = kw_claim(KW_FORK);

	if (slot < 0)
		return;
	event = kw_start(slot, sizeof(*event), KW_FORK, kw_fork_call(parent), BPF_CORE_READ(child, tgid),
			 actor);
	if (event) {
		event->child_pid = BPF_CORE_READ(child, tgid);
		event->child_start = BPF_CORE_READ(child, start_boottime);
		event->flags = kw_new_namespaces(parent, child);
		kw_send(slot, &kw_process_ring);
	}
	kw_release(slot);
}

static __always_inline int kw_is_born_elsewhere(struct task_struct *parent, struct task_struct *child)
{
	return BPF_CORE_READ(parent, cgroups) != BPF_CORE_READ(child, cgroups);
}

SEC("tp_btf/sched_process_fork")
int kw_fork(u64 *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx[0];
	struct task_struct *child = (struct task_struct *)ctx[1];
	struct kw_process process = {}, *actor;
	u32 pid = BPF_CORE_READ(child, tgid);

	if (pid != (u32)BPF_CORE_READ(child, pid))
		return 0; // a thread
	actor = kw_process(BPF_CORE_READ(parent, tgid));
	// Nothing should be left of an earlier process with this number; if the exit was missed, it is.
	bpf_map_delete_elem(&kw_processes, &pid);
	process.start = BPF_CORE_READ(child, start_boottime);
	if (actor) {
		__builtin_memcpy(process.container, actor->container, sizeof(process.container));
		process.phase = actor->phase;
		process.root = actor->root;
		kw_remember(pid, &process);
	} else if (kw_is_born_elsewhere(parent, child) && kw_task_id(child, process.container)) {
		process.phase = KW_SETUP;
		process.root = kw_root(parent);
		kw_remember(pid, &process);
	}
	if (kw_is_on(KW_FORK) && (actor || kw_knobs.host))
		kw_emit_fork(parent, child, actor);
	return 0;
}
