// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The way to attach that works where only tracepoints load: every system call's end comes by here,
// and those that have a handler go on to it. This is paid by every system call of the machine.
#include "../lib/handler.h"

static __always_inline u32 kw_gate_status(void)
{
	struct task_struct *task;

	if (bpf_core_enum_value_exists(enum bpf_func_id___known, BPF_FUNC_get_current_task_btf___known)) {
		task = bpf_get_current_task_btf();
		return task->thread_info.status;
	}
	return BPF_CORE_READ(kw_task(), thread_info.status);
}

SEC("tp_btf/sys_exit")
int kw_dispatch(u64 *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	u64 number = regs->orig_ax;

	// A 64-bit process can use the 32-bit gate, too: the gate decides, not the program's class.
	if (kw_gate_status() & KW_TS_COMPAT)
		bpf_tail_call(ctx, &kw_calls_32, (u32)number);
	else
		bpf_tail_call(ctx, &kw_calls, (u32)number & ~KW_X32_BIT);
	return 0;
}
