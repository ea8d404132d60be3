// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The kernel types the sensor reads, and of those only the fields it reads. The offsets here mean
// nothing: CO-RE relocates every access against the running kernel's BTF. A name with three
// underscores is another kernel version's shape of the same type.
#pragma once

#include "events.h"

typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef short __s16;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// include/uapi/linux/bpf.h
enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PROG_ARRAY = 3 };
enum { BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0 };

enum bpf_func_id___known {
	BPF_FUNC_get_current_task_btf___known = 158,
	BPF_FUNC_task_pt_regs___known = 175,
};

// include/uapi/asm-generic/errno-base.h
#define EINTR 4
#define ENOENT 2
#define EAGAIN 11
#define EEXIST 17
#define ENOTDIR 20
#define EISDIR 21

// include/uapi/asm-generic/fcntl.h (x86)
#define O_ACCMODE 3
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_WRONLY 01
#define AT_FDCWD (-100)
#define AT_REMOVEDIR 0x200

// include/linux/fs.h, include/uapi/linux/stat.h
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_XSETID 06111 // any exec or set-id bit

// include/uapi/linux/magic.h
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define NSFS_MAGIC 0x6e736673
#define PID_FS_MAGIC 0x50494446
#define ANON_INODE_FS_MAGIC 0x09041934

// include/uapi/linux/sched.h
#define PF_KTHREAD 0x00200000
#define CLONE_NEWTIME 0x00000080
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000
#define CLONE_NEW_ANY                                                                                  \
	(CLONE_NEWTIME | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

typedef struct {
	u32 val;
} kuid_t;

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode { // 6.11 and later
	u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	s64 i_size;
	s64 i_mtime_sec;
	s64 i_ctime_sec;
	u32 i_mtime_nsec;
	u32 i_ctime_nsec;
	void *i_private;
};

struct inode___v67 {
	struct timespec64 __i_mtime;
	struct timespec64 __i_ctime;
};

struct inode___v66 {
	struct timespec64 i_mtime;
	struct timespec64 __i_ctime;
};

struct inode___v58 {
	struct timespec64 i_mtime;
	struct timespec64 i_ctime;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	u32 f_mode;
	u32 f_flags;
	struct inode *f_inode;
	struct path f_path;
	void *private_data;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct proc_ns_operations {
	int type;
};

struct ns_common {
	struct proc_ns_operations *ops;
	u32 inum;
};

struct ns_common___v618 {
	u32 ns_type;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	void *uts_ns;
	void *ipc_ns;
	struct mnt_namespace *mnt_ns;
	void *pid_ns_for_children;
	void *net_ns;
	void *time_ns_for_children;
	void *cgroup_ns;
};

typedef struct { // two u32 until 6.2, one u64 since: the same bytes
	u64 val;
} kernel_cap_t;

struct cred {
	kuid_t uid;
	kuid_t gid;
	kuid_t euid;
	kernel_cap_t cap_effective;
	void *user_ns;
};

struct upid {
	int nr;
};

struct pid {
	u32 level;
	struct upid numbers[1];
};

struct tty_driver {
	int major;
	int minor_start;
};

struct tty_struct {
	int index;
	struct tty_driver *driver;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	struct tty_struct *tty;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
};

struct kernfs_node { // 6.15 and later
	struct kernfs_node *__parent;
	const char *name;
};

struct kernfs_node___v58 {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	struct thread_info thread_info;
	u32 flags;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct list_head ptraced;
	struct list_head ptrace_entry;
	struct pid *thread_pid;
	u64 start_boottime;
	struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct mm_struct *mm;
	kuid_t loginuid;
	struct css_set *cgroups;
};

struct linux_binprm {
	const char *filename;
	const char *interp;
	const char *fdpath;
};

struct bpf_iter__task {
	struct task_struct *task;
};

struct module {
	char name[56];
};

#pragma clang attribute pop
