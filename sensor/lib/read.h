// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// First layer: facts read from the kernel's objects. Nothing here writes a record.
#pragma once

#include "../maps.h"

static __always_inline struct task_struct *kw_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static __always_inline struct file *kw_fd_file(struct task_struct *task, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files;
	struct file *file = 0;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

// The kernel's internal dev_t as stat(2) shows it: new_encode_dev().
static __always_inline u32 kw_encode_device(u32 device)
{
	u32 major = device >> 20, minor = device & 0xfffff;

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

static __always_inline int kw_is_overlay(struct super_block *sb)
{
	return BPF_CORE_READ(sb, s_magic) == OVERLAYFS_SUPER_MAGIC;
}

// On an overlay that is not the machine's own root: then it is a container's, whoever acts.
static __always_inline int kw_is_container_overlay(struct super_block *sb)
{
	return kw_is_overlay(sb) && BPF_CORE_READ(sb, s_dev) != kw_host.device;
}

// struct ovl_inode: the upper dentry's pointer lies right behind the inode (FS: fs/overlayfs/ovl_entry.h,
// unchanged from 5.8 to 6.18). Not null: the file is in the upper layer.
static __always_inline int kw_is_upper(struct inode *inode)
{
	u64 upper = 0;

	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode));
	return upper != 0;
}

static __always_inline s64 kw_time(s64 seconds, u32 nanoseconds)
{
	// The highest bit says, since 6.13, that somebody asked for the time: not part of it.
	return seconds * 1000000000 + (nanoseconds & 0x7fffffff);
}

static __always_inline s64 kw_timespec(const struct timespec64 *at)
{
	return kw_time(at->tv_sec, at->tv_nsec);
}

static __always_inline s64 kw_mtime(struct inode *inode)
{
	struct timespec64 at = {};

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return kw_time(BPF_CORE_READ(inode, i_mtime_sec), BPF_CORE_READ(inode, i_mtime_nsec));
	if (bpf_core_field_exists(((struct inode___v67 *)inode)->__i_mtime))
		at = BPF_CORE_READ((struct inode___v67 *)inode, __i_mtime);
	else
		at = BPF_CORE_READ((struct inode___v58 *)inode, i_mtime);
	return kw_timespec(&at);
}

static __always_inline s64 kw_ctime(struct inode *inode)
{
	struct timespec64 at = {};

	if (bpf_core_field_exists(inode->i_ctime_sec))
		return kw_time(BPF_CORE_READ(inode, i_ctime_sec), BPF_CORE_READ(inode, i_ctime_nsec));
	if (bpf_core_field_exists(((struct inode___v67 *)inode)->__i_ctime))
		at = BPF_CORE_READ((struct inode___v67 *)inode, __i_ctime);
	else
		at = BPF_CORE_READ((struct inode___v58 *)inode, i_ctime);
	return kw_timespec(&at);
}

// memfd_create(2) makes a dentry without a parent, named "memfd:" and the caller's name. A file that
// somebody calls so in a directory has a parent.
static __always_inline int kw_is_memfd(struct dentry *dentry)
{
	char name[8] = {};

	if (BPF_CORE_READ(dentry, d_parent) != dentry)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' &&
	       name[5] == ':';
}

static __always_inline int kw_is_regular(struct inode *inode)
{
	return (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG;
}

static __always_inline void kw_read_file(struct kw_file *out, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);

	out->inode = BPF_CORE_READ(inode, i_ino);
	out->size = BPF_CORE_READ(inode, i_size);
	out->mode = BPF_CORE_READ(inode, i_mode);
	out->mtime = kw_mtime(inode);
	out->ctime = kw_ctime(inode);
	out->device = kw_encode_device(BPF_CORE_READ(sb, s_dev));
	out->overlay = kw_is_overlay(sb);
	out->upper = out->overlay && kw_is_upper(inode);
	out->memfd = kw_is_memfd(BPF_CORE_READ(file, f_path.dentry));
}

static __always_inline u32 kw_tty(struct task_struct *task)
{
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	u32 minor;

	if (!tty)
		return 0;
	minor = BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index);
	return kw_encode_device((u32)BPF_CORE_READ(tty, driver, major) << 20 | minor);
}

static __always_inline u64 kw_capabilities(struct task_struct *task)
{
	struct cred *cred = BPF_CORE_READ(task, cred);
	u64 set = 0;

	bpf_probe_read_kernel(&set, sizeof(set), __builtin_preserve_access_index(&cred->cap_effective));
	return set;
}
