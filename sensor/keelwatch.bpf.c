// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// All probes as one translation unit, so that they share maps without a BPF linker.
#include "probes/dispatch.bpf.c"
#include "probes/seed.bpf.c"
#include "probes/cgroup.bpf.c"
#include "probes/fork.bpf.c"
#include "probes/exit.bpf.c"
#include "probes/exec.bpf.c"
#include "probes/open.bpf.c"
#include "probes/rename.bpf.c"
#include "probes/link.bpf.c"
#include "probes/unlink.bpf.c"
#include "probes/chmod.bpf.c"
#include "probes/setns.bpf.c"
#include "probes/unshare.bpf.c"
#include "probes/mount.bpf.c"
#include "probes/ptrace.bpf.c"
#include "probes/module.bpf.c"

// The kernel offers the helpers used here to GPL programs only, hence the second licence of these files.
char LICENSE[] SEC("license") = "GPL";

// Kept in the object's BTF for the test that compares it with decode/sensor.py.
struct kw_wire {
	struct kw_exec_event exec;
	struct kw_fork_event fork;
	struct kw_exit_event exit;
	struct kw_file_event file;
	struct kw_call_event call;
	enum kw_kind kind;
	enum kw_loss loss;
	enum kw_call call_name;
	enum kw_phase phase;
	enum kw_source source;
	enum kw_visit visit;
	enum kw_text text;
};
const struct kw_wire *kw_wire_unused __attribute__((unused));
