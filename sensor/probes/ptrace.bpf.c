// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A process takes hold of another, or writes into it. Requests that only read are not reported.
#include "../lib/handler.h"

#define KW_TRACEES 16

// include/uapi/linux/ptrace.h
enum {
	PTRACE_POKETEXT = 4,
	PTRACE_POKEDATA = 5,
	PTRACE_POKEUSR = 6,
	PTRACE_SETREGS = 13,
	PTRACE_SETFPREGS = 15,
	PTRACE_ATTACH = 16,
	PTRACE_SETREGSET = 0x4205,
	PTRACE_SEIZE = 0x4206,
};

static __always_inline int kw_is_reported_request(long request)
{
	return request == PTRACE_ATTACH || request == PTRACE_SEIZE || request == PTRACE_POKETEXT ||
	       request == PTRACE_POKEDATA || request == PTRACE_POKEUSR || request == PTRACE_SETREGS ||
	       request == PTRACE_SETFPREGS || request == PTRACE_SETREGSET;
}

static __always_inline void *kw_pid_number(struct pid *pid, u32 level)
{
	struct upid *numbers = __builtin_preserve_access_index(&pid->numbers[0]);

	return (void *)numbers + level * bpf_core_type_size(struct upid) +
	       bpf_core_field_offset(struct upid, nr);
}

// The caller's number for a process, in the first pid namespace: found among those the caller
// traces. Outside a pid namespace it is the number itself; otherwise unknown (0).
static __always_inline u32 kw_global_pid(struct task_struct *task, int number)
{
	u32 level = BPF_CORE_READ(task, thread_pid, level);
	struct list_head *head = __builtin_preserve_access_index(&task->ptraced);
	struct list_head *at = BPF_CORE_READ(head, next);

	if (level == 0)
		return number;
	for (int i = 0; i < KW_TRACEES && at != head; i++) {
		struct task_struct *tracee =
			(void *)at - bpf_core_field_offset(struct task_struct, ptrace_entry);
		struct pid *pid = BPF_CORE_READ(tracee, thread_pid);
		int seen = 0;

		bpf_probe_read_kernel(&seen, sizeof(seen), kw_pid_number(pid, level));
		if (seen == number)
			return BPF_CORE_READ(tracee, tgid);
		at = BPF_CORE_READ(at, next);
	}
	return 0;
}

static __always_inline int kw_emit_ptrace(u32 call, int ret, long request, int target)
{
	struct kw_call_event *event;
	int slot;

	event = kw_start_call(&slot, KW_PTRACE, call, ret);
	if (!event)
		return 0;
	event->request = request;
	event->target_pid = kw_global_pid(kw_task(), target);
	kw_finish(slot, &kw_process_ring);
	return 0;
}

KW_HANDLER(ptrace)
{
	int request = ARG(0);

	if (!kw_is_reported_request(request))
		return 0;
	return kw_emit_ptrace(KW_CALL_ptrace, ret, request, ARG(1));
}

KW_HANDLER(process_vm_writev)
{
	return kw_emit_ptrace(KW_CALL_process_vm_writev, ret, 0, ARG(0));
}
