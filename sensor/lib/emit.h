// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Third layer: a record is begun, gets its texts, and goes to its ring.
//
// The text functions are global (not static): the verifier checks each once for a program,
// whatever calls it. They therefore take only numbers, and find the draft by its own.
#pragma once

#include "container.h"

#define KW_PATH_PARTS 64

static __always_inline struct kw_draft *kw_draft(u32 slot)
{
	return bpf_map_lookup_elem(&kw_drafts, &slot);
}

static __always_inline struct kw_work *kw_work(u32 slot)
{
	return bpf_map_lookup_elem(&kw_works, &slot);
}

// Text number `which` of the draft's head has `length` more bytes.
static __always_inline void kw_grow(struct kw_draft *draft, u32 which, u32 length)
{
	struct kw_head *head = (void *)draft->bytes;

	if (which >= KW_TEXTS)
		return;
	head->text[which] += length;
	draft->end += length;
}

static __always_inline void kw_cut(struct kw_draft *draft)
{
	struct kw_head *head = (void *)draft->bytes;

	if (!head->truncated)
		kw_lose(head->kind, KW_TRUNCATED);
	head->truncated = 1;
}

static __always_inline void kw_unread(struct kw_draft *draft)
{
	struct kw_head *head = (void *)draft->bytes;

	kw_lose(head->kind, KW_READ_FAILED);
}

// One part of a path in front of what is there already. Returns 0 when there is no room.
static __always_inline int kw_prepend(struct kw_work *work, struct dentry *dentry, int slash)
{
	u64 length = BPF_CORE_READ(dentry, d_name.len);
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	u64 at = work->at;

	if (length > KW_NAME_MAX || length + 1 > at || at > KW_PATH_MAX)
		return 0;
	at -= length;
	bpf_probe_read_kernel(&work->path[at & (KW_PATH_MAX - 1)], length & KW_NAME_MAX, name);
	if (slash) {
		at -= 1;
		work->path[at & (KW_PATH_MAX - 1)] = '/';
	}
	work->at = at;
	return 1;
}

// One step up: a name is taken down, or a mount is left for the directory it lies on.
// Returns 1 as long as there is a way to go, 0 at the task's root, -1 when there is no room.
__noinline int kw_step(u32 slot)
{
	struct kw_work *work = kw_work(slot);
	struct dentry *dentry;
	struct mount *mount, *above;
	struct vfsmount *mnt;

	if (!work)
		return -1;
	dentry = work->place.dentry;
	mnt = work->place.mnt;
	if (mnt == work->root.mnt && dentry == work->root.dentry)
		return 0;
	if (dentry != BPF_CORE_READ(mnt, mnt_root) && dentry != BPF_CORE_READ(dentry, d_parent)) {
		work->place.dentry = BPF_CORE_READ(dentry, d_parent);
		return kw_prepend(work, dentry, 1) ? 1 : -1;
	}
	mount = container_of(mnt, struct mount, mnt);
	above = BPF_CORE_READ(mount, mnt_parent);
	work->place.dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	work->place.mnt = __builtin_preserve_access_index(&above->mnt);
	return above != mount;
}

// Appends what lies in work->path from work->at to its end.
static __always_inline void kw_take_path(struct kw_draft *draft, struct kw_work *work, u32 which)
{
	u64 at = work->at, end = draft->end, length;

	KW_BOUND(at);
	if (at > KW_PATH_MAX)
		return;
	length = KW_PATH_MAX - at;
	KW_BOUND(length);
	KW_BOUND(end);
	if (length > KW_PATH_MAX)
		return;
	if (end > KW_RECORD - KW_PATH_MAX) {
		kw_cut(draft);
		return;
	}
	bpf_probe_read_kernel(&draft->bytes[end], length, work->path + at);
	kw_grow(draft, which, length);
}

// The path of (mnt, dentry) as the current task would name it: up to the task's root, across mounts.
__noinline int kw_text_dentry(u32 slot, u32 which, u64 mnt, u64 dentry)
{
	struct kw_draft *draft = kw_draft(slot);
	struct kw_work *work = kw_work(slot);
	int more = 1;

	if (!draft || !work)
		return 0;
	work->at = KW_PATH_MAX;
	work->root = BPF_CORE_READ(kw_task(), fs, root);
	work->place.mnt = (void *)mnt;
	work->place.dentry = (void *)dentry;
	if (kw_is_memfd((void *)dentry)) {
		kw_prepend(work, (void *)dentry, 0);
		more = 0;
	}
	for (int i = 0; i < KW_PATH_PARTS && more == 1; i++)
		more = kw_step(slot);
	if (more)
		kw_cut(draft);
	if (work->at == KW_PATH_MAX) {
		work->at = KW_PATH_MAX - 1;
		work->path[KW_PATH_MAX - 1] = '/';
	}
	kw_take_path(draft, work, which);
	return 0;
}

// A string of the caller's or (`kernel` not 0) of the kernel's memory.
__noinline int kw_text_string(u32 slot, u32 which, u64 address, u32 kernel)
{
	struct kw_draft *draft = kw_draft(slot);
	long length;
	u64 end;

	if (!draft)
		return 0;
	end = draft->end;
	KW_BOUND(end);
	if (end > KW_RECORD - KW_PATH_MAX) {
		kw_cut(draft);
		return 0;
	}
	if (kernel)
		length = bpf_probe_read_kernel_str(&draft->bytes[end], KW_PATH_MAX, (void *)address);
	else
		length = bpf_probe_read_user_str(&draft->bytes[end], KW_PATH_MAX, (void *)address);
	if (length <= 0) {
		kw_unread(draft);
		return 0;
	}
	if (length == KW_PATH_MAX)
		kw_cut(draft);
	kw_grow(draft, which, length - 1);
	return 0;
}

// A block of the caller's memory, at most KW_ARGV_MAX bytes of it.
__noinline int kw_text_block(u32 slot, u32 which, u64 address, u64 length)
{
	struct kw_draft *draft = kw_draft(slot);
	u64 end;

	if (!draft)
		return 0;
	end = draft->end;
	if (length > KW_ARGV_MAX) {
		kw_cut(draft);
		length = KW_ARGV_MAX;
	}
	KW_BOUND(end);
	KW_BOUND(length);
	if (end > KW_RECORD - KW_ARGV_MAX || length > KW_ARGV_MAX) {
		kw_cut(draft);
		return 0;
	}
	if (bpf_probe_read_user(&draft->bytes[end], length, (void *)address)) {
		kw_unread(draft);
		return 0;
	}
	kw_grow(draft, which, length);
	return 0;
}

// The directory that a path by `dirfd` starts from.
__noinline int kw_text_base(u32 slot, u32 which, int dirfd)
{
	struct task_struct *task = kw_task();
	struct path at = {};
	struct file *file;

	if (dirfd == AT_FDCWD) {
		at = BPF_CORE_READ(task, fs, pwd);
	} else {
		file = kw_fd_file(task, dirfd);
		if (!file)
			return 0;
		at = BPF_CORE_READ(file, f_path);
	}
	return kw_text_dentry(slot, which, (u64)at.mnt, (u64)at.dentry);
}

static __always_inline void kw_text_file(u32 slot, u32 which, struct file *file)
{
	struct path at = BPF_CORE_READ(file, f_path);

	kw_text_dentry(slot, which, (u64)at.mnt, (u64)at.dentry);
}

// The caller's path and, unless that is absolute, its base. The one look at the user's string
// saves room in the record; it decides nothing.
static __always_inline void kw_text_user_path(u32 slot, u32 which, u32 base, int dirfd, u64 address)
{
	char first = 0;

	kw_text_string(slot, which, address, 0);
	bpf_probe_read_user(&first, 1, (void *)address);
	if (first != '/')
		kw_text_base(slot, base, dirfd);
}

// Programs attached by fexit, and those of tracepoints in kernels to come, can be preempted by each
// other. Without fetching atomics (5.10 has none): only who finds exactly its own mark holds a slot.
static __always_inline int kw_claim(u32 kind)
{
	for (u32 slot = 0; slot < KW_DRAFTS; slot++) {
		struct kw_work *work = kw_work(slot);

		if (!work)
			break;
		__sync_fetch_and_add(&work->busy, 1);
		if (*(volatile u64 *)&work->busy == 1)
			return slot;
		__sync_fetch_and_add(&work->busy, -1);
	}
	kw_lose(kind, KW_MAP_FULL);
	return -1;
}

static __always_inline void kw_release(u32 slot)
{
	struct kw_work *work = kw_work(slot);

	if (work)
		__sync_fetch_and_add(&work->busy, -1);
}

static __always_inline void kw_fill_parent(struct kw_head *head, struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);

	head->ppid = BPF_CORE_READ(parent, tgid);
	head->parent_start = BPF_CORE_READ(parent, group_leader, start_boottime);
}

static __always_inline void kw_fill_credentials(struct kw_head *head, struct task_struct *task)
{
	struct cred *cred = BPF_CORE_READ(task, cred);

	head->uid = BPF_CORE_READ(cred, uid.val);
	head->euid = BPF_CORE_READ(cred, euid.val);
	head->gid = BPF_CORE_READ(cred, gid.val);
	head->loginuid = -1;
	if (bpf_core_field_exists(task->loginuid))
		head->loginuid = BPF_CORE_READ(task, loginuid.val);
}

static __always_inline void kw_fill_head(struct kw_head *head, u32 kind, u32 call, s64 result,
					 struct kw_process *actor)
{
	struct task_struct *task = kw_task();
	u64 id = bpf_get_current_pid_tgid();

	head->time = bpf_ktime_get_boot_ns();
	head->result = result;
	head->pid = id >> 32;
	head->tid = id;
	head->kind = kind;
	head->call = call;
	head->start = BPF_CORE_READ(task, group_leader, start_boottime);
	head->cgroup_id = bpf_get_current_cgroup_id();
	head->mount_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	kw_fill_parent(head, task);
	kw_fill_credentials(head, task);
	bpf_get_current_comm(head->comm, sizeof(head->comm));
	if (actor) {
		head->phase = actor->phase;
		__builtin_memcpy(head->container, actor->container, sizeof(head->container));
	}
}

// Begins a record of `size` fixed bytes (a constant) in a slot that is claimed already.
static __always_inline void *kw_start(u32 slot, u32 size, u32 kind, u32 call, s64 result,
				      struct kw_process *actor)
{
	struct kw_draft *draft = kw_draft(slot);

	if (!draft)
		return 0;
	__builtin_memset(draft->bytes, 0, size);
	draft->end = size;
	kw_fill_head((void *)draft->bytes, kind, call, result, actor);
	return draft->bytes;
}

// A reader that is woken for every event costs more than the event.
static __always_inline u64 kw_wake(void *ring)
{
	if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= kw_knobs.wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

static __always_inline void kw_send(u32 slot, void *ring)
{
	struct kw_draft *draft = kw_draft(slot);
	struct kw_head *head;
	u64 length;

	if (!draft)
		return;
	head = (void *)draft->bytes;
	length = draft->end;
	KW_BOUND(length);
	if (length > KW_RECORD)
		length = KW_RECORD;
	if (bpf_ringbuf_output(ring, draft->bytes, length, kw_wake(ring)))
		kw_lose(head->kind, KW_RING_FULL);
}
