// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A program image is replaced, or an attempt fails; and which files the new program has inherited
// open for writing (that is how the writer behind a shell redirection is known).
#include "../lib/handler.h"

#define KW_INHERIT_SCAN 32
#define KW_INHERIT_MAX 4
#define KW_ENV_SCAN 256

static __always_inline int kw_is_usermode_helper(struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);

	return BPF_CORE_READ(parent, pid) != 0 && (BPF_CORE_READ(parent, flags) & PF_KTHREAD);
}

// A child of the kernel is reported with all its descendants, without a container.
static __always_inline struct kw_process *kw_adopt_helper(struct task_struct *task)
{
	u32 pid = BPF_CORE_READ(task, tgid);
	struct kw_process process = {.start = BPF_CORE_READ(task, group_leader, start_boottime)};

	kw_remember(pid, &process);
	return kw_process(pid);
}

static __always_inline int kw_is_env_name(const u8 *value, const volatile struct kw_env_name *name)
{
	const u64 *words = (const u64 *)value;

	return (words[0] & name->mask[0]) == name->word[0] && (words[1] & name->mask[1]) == name->word[1] &&
	       (words[2] & name->mask[2]) == name->word[2];
}

static __always_inline int kw_is_allowed(const u8 *value)
{
	for (u32 i = 0; i < KW_ENV_NAMES && i < kw_knobs.env_names; i++)
		if (kw_is_env_name(value, &kw_knobs.env[i]))
			return 1;
	return 0;
}

// Appends `value` of `length` bytes, its NUL included.
static __always_inline void kw_put_variable(struct kw_draft *draft, const u8 *value, u64 length)
{
	u64 end = draft->end;

	KW_BOUND(end);
	KW_BOUND(length);
	if (length > KW_ENV_VALUE || end > KW_RECORD - KW_ENV_VALUE) {
		kw_cut(draft);
		return;
	}
	bpf_probe_read_kernel(&draft->bytes[end], length, value);
	kw_grow(draft, KW_TEXT_ENVIRONMENT, length);
}

// One variable, or the next piece of one that is longer than the buffer. Returns bytes, or 0.
__noinline int kw_variable(u32 slot)
{
	struct kw_draft *draft = kw_draft(slot);
	struct kw_work *work = kw_work(slot);
	long length;

	if (!draft || !work)
		return 0;
	length = bpf_probe_read_user_str(work->value, KW_ENV_VALUE, (void *)work->variable);
	if (length <= 0) {
		kw_unread(draft);
		return 0;
	}
	if (work->fresh && kw_is_allowed(work->value))
		kw_put_variable(draft, work->value, length);
	work->fresh = length < KW_ENV_VALUE;
	work->variable += work->fresh ? length : length - 1;
	return length;
}

// Only variables with an allowed name leave the kernel.
__noinline int kw_text_environment(u32 slot, u64 at, u64 end)
{
	struct kw_draft *draft = kw_draft(slot);
	struct kw_work *work = kw_work(slot);

	if (!draft || !work)
		return 0;
	work->variable = at;
	work->fresh = 1;
	for (int i = 0; i < KW_ENV_SCAN && work->variable < end; i++)
		if (!kw_variable(slot))
			return 0;
	if (work->variable < end)
		kw_cut(draft);
	return 0;
}

// The registers cannot tell: the kernel writes execve's number into them (set_personality_64bit).
// An execveat by AT_FDCWD or an absolute path is the same as execve, and called so.
static __always_inline u32 kw_exec_call(struct linux_binprm *bprm)
{
	return BPF_CORE_READ(bprm, fdpath) ? KW_CALL_execveat : KW_CALL_execve;
}

static __always_inline void kw_put_exec_texts(u32 slot, struct task_struct *task, struct linux_binprm *bprm,
					      struct file *file)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u64 arguments = BPF_CORE_READ(mm, arg_start);
	const char *named = BPF_CORE_READ(bprm, filename);

	kw_text_file(slot, KW_TEXT_PATH, file);
	kw_text_base(slot, KW_TEXT_CWD, AT_FDCWD);
	// binfmt_script puts the interpreter in place of the name it was started by.
	if (named != BPF_CORE_READ(bprm, interp))
		kw_text_string(slot, KW_TEXT_SCRIPT, (u64)named, 1);
	kw_text_block(slot, KW_TEXT_ARGV, arguments, BPF_CORE_READ(mm, arg_end) - arguments);
	if (kw_knobs.env_names)
		kw_text_environment(slot, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
}

static __always_inline void kw_emit_exec(u32 slot, struct task_struct *task, struct linux_binprm *bprm,
					 struct kw_process *actor)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct kw_exec_event *event;

	event = kw_start(slot, sizeof(*event), KW_EXEC, kw_exec_call(bprm), 0, actor);
	if (!event)
		return;
	event->head.path_source = KW_KERNEL;
	kw_read_file(&event->file, file);
	event->file.descriptor = -1;
	event->capabilities = kw_capabilities(task);
	event->tty = kw_tty(task);
	kw_put_exec_texts(slot, task, bprm, file);
	kw_send(slot, &kw_process_ring);
}

static __always_inline int kw_is_written(struct file *file)
{
	return (BPF_CORE_READ(file, f_mode) & FMODE_WRITE) && kw_is_regular(BPF_CORE_READ(file, f_inode));
}

// Reports one open file of the new program, if it is one to be reported. Returns whether it was.
__noinline int kw_inherit(u32 slot, u64 address, u32 fd, u32 call)
{
	struct file *file = (void *)address;
	struct kw_file_event *event;

	if (!kw_is_written(file))
		return 0;
	event = kw_start(slot, sizeof(*event), KW_INHERIT, call, 0, kw_current());
	if (!event)
		return 0;
	event->head.path_source = KW_KERNEL;
	kw_read_file(&event->file, file);
	event->file.descriptor = fd;
	event->file.flags = BPF_CORE_READ(file, f_flags);
	kw_text_file(slot, KW_TEXT_PATH, file);
	kw_send(slot, &kw_file_ring);
	return 1;
}

static __always_inline void kw_emit_inherited(u32 slot, struct task_struct *task, u32 call)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	u32 limit = BPF_CORE_READ(table, max_fds);
	struct file **files = BPF_CORE_READ(table, fd);
	int room = KW_INHERIT_MAX;

	for (u32 fd = 0; fd < KW_INHERIT_SCAN && fd < limit && room > 0; fd++) {
		struct file *file = 0;

		bpf_probe_read_kernel(&file, sizeof(file), files + fd);
		if (file)
			room -= kw_inherit(slot, (u64)file, fd, call);
	}
	if (room <= 0)
		kw_lose(KW_INHERIT, KW_TRUNCATED);
}

static __always_inline int kw_is_host_exec(struct task_struct *task)
{
	return kw_knobs.host || kw_is_container_overlay(BPF_CORE_READ(task, mm, exe_file, f_inode, i_sb));
}

SEC("tp_btf/sched_process_exec")
int kw_exec(u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[2];
	struct kw_process *actor = kw_current();
	int slot;

	if (!actor && kw_is_usermode_helper(task))
		actor = kw_adopt_helper(task);
	if (!actor && !kw_is_host_exec(task))
		return 0;
	if (actor && actor->phase == KW_SETUP && kw_root(task) != actor->root)
		actor->phase = KW_RUN;
	slot = kw_claim(KW_EXEC);
	if (slot < 0)
		return 0;
	if (kw_is_on(KW_EXEC))
		kw_emit_exec(slot, task, bprm, actor);
	if (kw_is_on(KW_INHERIT))
		kw_emit_inherited(slot, task, kw_exec_call(bprm));
	kw_release(slot);
	return 0;
}

static __always_inline int kw_failed_exec(u32 call, int ret, int dirfd, u64 name)
{
	struct kw_process *actor;
	struct kw_exec_event *event;
	int slot;

	if (ret >= 0 || ret == -ENOENT)
		return 0;
	actor = kw_current();
	if (!kw_is_reported(actor))
		return 0;
	slot = kw_claim(KW_EXEC);
	if (slot < 0)
		return 0;
	event = kw_start(slot, sizeof(*event), KW_EXEC, call, ret, actor);
	if (event) {
		event->head.path_source = KW_USER;
		event->file.descriptor = -1;
		kw_text_user_path(slot, KW_TEXT_PATH, KW_TEXT_BASE, dirfd, name);
		kw_send(slot, &kw_process_ring);
	}
	kw_release(slot);
	return 0;
}

KW_HANDLER(execve)
{
	return kw_failed_exec(KW_CALL_execve, ret, AT_FDCWD, ARG(0));
}

KW_HANDLER(execveat)
{
	return kw_failed_exec(KW_CALL_execveat, ret, ARG(0), ARG(1));
}
